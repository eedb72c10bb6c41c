// The playground's drawings, in SVG: the land, the loss, the map and the 20 points. Colors are in
// playground.css, arrowheads and dots in controls.js.
const plots = (() => {
  const OPTIMIZERS = ["sgd", "momentum"];

  function element(name, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const label = (x, y, words, anchor = "middle", className = "") =>
    element("text", { x, y, "text-anchor": anchor, class: className }, words);

  const line = (points, className, more = {}) => {
    const corners = points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`);
    return element("path", { d: `M${corners.join("L")}`, class: className, ...more });
  };

  const minus = (words) => words.replaceAll("-", "−");
  const short = (value) => minus(String(Number(value.toPrecision(3))));

  // ── Axes ─────────────────────────────────────────────────────────────────────────────────────

  // From values to pixels. What is far away stays so, but within what browsers can draw.
  function scale([low, high], [from, to]) {
    const at = (value) => from + ((value - low) / (high - low)) * (to - from);
    const pixel = (value) => Math.max(-1e4, Math.min(1e4, at(value)));
    pixel.long = (length) => (length / (high - low)) * (to - from);
    pixel.back = (place) => low + ((place - from) / (to - from)) * (high - low);
    return pixel;
  }

  // Some round numbers between two, each with its name.
  function ticks([low, high]) {
    const power = 10 ** Math.floor(Math.log10((high - low) / 4));
    const gap = power * [1, 2, 5].findLast((digit) => digit * power * 4 <= high - low);
    const first = Math.ceil(low / gap);
    const count = Math.floor(high / gap) - first + 1;
    return Array.from({ length: count }, (_, i) => [(first + i) * gap, short((first + i) * gap)]);
  }

  // An empty plot, as wide as its figure and, when presented, as high. What is drawn within its
  // frame goes to `inner`.
  let count = 0;
  function plot(svg, ratio, ranges) {
    const large = svg.closest(".presented") ? 1.45 : 1; // as the text, in playground.css
    svg.id ||= `pg-plot-${(count += 1)}`;
    const { clientWidth, clientHeight } = svg.parentElement;
    const width = Math.max(clientWidth, 120);
    const height = large > 1 ? Math.max(svg.clientHeight, 90) : width * ratio;
    const [left, right, top, bottom] = [40 * large, width - 12, 22 * large, height - 34 * large];
    const [x, y] = [scale(ranges[0], [left, right]), scale(ranges[1], [bottom, top])];
    const frame = { x: left, y: top, width: right - left, height: bottom - top };
    const clip = element("clipPath", { id: `${svg.id}-frame` }, element("rect", frame));
    const inner = element("g", { "clip-path": `url(#${svg.id}-frame)` });
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(clip, inner, element("rect", { ...frame, class: "frame" }));
    function axes(names, xTicks, yTicks) {
      svg.append(
        ...xTicks.map(([value, name]) => label(x(value), bottom + 14 * large, name)),
        ...yTicks.map(([value, name]) => label(left - 5, y(value) + 4, name, "end")),
        label((left + right) / 2, bottom + 29 * large, names[0], "middle", "name"),
        label(left, top - 8 * large, names[1], "middle", "name"),
      );
    }
    const inside = ([across, down]) =>
      across >= left && across <= right && down >= top && down <= bottom;
    const edge = ([across, down]) => [
      Math.max(left + 8, Math.min(right - 8, across)),
      Math.max(top + 8, Math.min(bottom - 8, down)),
    ];
    const read = (place) => (inside(place) ? [x.back(place[0]), y.back(place[1])] : undefined);
    return { inner, x, y, top, bottom, axes, inside, edge, read, large };
  }

  // ── The land: a curve, or a surface by its contour lines ─────────────────────────────────────

  function contours(values, { x, y }, [[left, right], [low, high]]) {
    const side = Math.sqrt(values.length);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const level = (i) => least + (most - least) * ((i + 0.5) / 14) ** 2; // even on a parabola
    const levels = Array.from({ length: 14 }, (_, i) => level(i));
    // d3 puts the value of index i at i + ½.
    const at = ([i, j]) => [
      x(left + ((i - 0.5) / (side - 1)) * (right - left)),
      y(low + ((j - 0.5) / (side - 1)) * (high - low)),
    ];
    const shapes = d3.contours().size([side, side]).thresholds(levels)(values);
    return shapes.map(({ coordinates }) => {
      const rings = coordinates.flat().map((ring) => `M${ring.map(at).join("L")}Z`);
      return element("path", { d: rings.join(""), class: "contour" });
    });
  }

  function land(svg, { view, axes }, values) {
    const curve = view.length === 1;
    const most = Math.max(...values);
    const ranges = curve ? [view[0], [-0.05 * most, 1.1 * most]] : view;
    const { inner, x, y, axes: drawAxes, ...drawn } = plot(svg, 0.62, ranges);
    if (curve) {
      const [left, right] = view[0];
      const at = (i) => left + (i / (values.length - 1)) * (right - left);
      inner.append(line(values.map((value, i) => [x(at(i)), y(value)]), "curve"));
    } else {
      inner.append(...contours(values, { x, y }, view));
    }
    drawAxes(curve ? [axes[0], "L"] : axes, ...ranges.map(ticks));
    const layer = element("g", {});
    const grip = element("g", {}); // the start: it stays while it is dragged
    inner.append(layer, grip);
    const at = (path, i) => [x(path.places[i][0]), y(curve ? path.loss[i] : path.places[i][1])];
    const vector = ([across, up]) => [x.long(across), curve ? 0 : y.long(up)];
    return { ...drawn, layer, grip, curve, at, vector };
  }

  // The next step from a place: against the slope, what is left of the last step, and their sum,
  // as a parallelogram (on a curve: one above the other), and how much larger than they are.
  function arrows(ground, path, { lr, momentum, nesterov }, i) {
    const [here, next, gradient] = [path.places[i], path.places[i + 1], path.gradients[i]];
    // θ ← θ + λm − ηg or, Nesterov, θ ← θ + λ²m − (1 + λ)ηg
    const weight = nesterov ? 1 + momentum : 1;
    const slope = gradient.map((value) => -weight * lr * value);
    const sum = next.map((value, axis) => value - here[axis]);
    const last = sum.map((value, axis) => value - slope[axis]);
    const vectors = { slope, last, sum };
    for (const name in vectors) vectors[name] = ground.vector(vectors[name]);
    const length = (vector) => Math.hypot(...vector);
    const longest = Math.max(...Object.values(vectors).map(length));
    const larger = [1, 2, 5, 10, 20, 50, 100].findLast((it) => it * longest < 90) ?? 1;
    const [x, y] = ground.at(path, i);
    const height = ground.curve ? { slope: -42, last: -28, sum: -14 } : { slope: 0, last: 0, sum: 0 };
    const below = ground.curve && y - 50 < ground.top ? -1 : 1; // where there is no room above
    const from = (name) => [x, y + below * height[name]];
    const to = (name) => from(name).map((value, axis) => value + larger * vectors[name][axis]);
    const drawn = Object.keys(vectors).filter((name) => larger * length(vectors[name]) > 2);
    const parts = drawn.map((name) =>
      line([from(name), to(name)], `arrow ${name}`, { "marker-end": `url(#pg-head-${name})` }),
    );
    if (parts.length && !ground.curve) {
      parts.unshift(line([to("slope"), to("sum"), to("last")], "side"));
    }
    return { parts, larger: parts.length ? larger : 1 };
  }

  // Both paths so far and, if wanted, as a whole. Returns how much larger than they
  // are the arrows are drawn.
  function paths(ground, traced, settings, step, whole = true) {
    const parts = [];
    const { large } = ground;
    for (const optimizer of OPTIMIZERS) {
      const path = traced[optimizer];
      const points = path.places.map((_, i) => ground.at(path, i));
      const dot = `url(#pg-dot-${optimizer})`;
      const more = { "data-path": optimizer, "marker-start": dot, "marker-mid": dot };
      if (!ground.curve && whole) parts.push(line(points, `path whole ${optimizer}`));
      const soFar = points.slice(0, step + 1);
      parts.push(line(soFar, `path ${optimizer} ${ground.curve ? "dots" : ""}`, more));
      // A ball that has left is drawn hollow, at the edge.
      const here = soFar.at(-1);
      const className = `ball ${optimizer} ${ground.inside(here) ? "" : "gone"}`;
      const [cx, cy] = ground.inside(here) ? here : ground.edge(here);
      const half = 6 * large;
      const square = { x: cx - half, y: cy - half, width: 2 * half, height: 2 * half };
      parts.push(
        optimizer === "sgd"
          ? element("rect", { ...square, class: className })
          : element("circle", { cx, cy, r: 7 * large, class: className }),
      );
    }
    const path = traced.momentum;
    const moves = step < path.gradients.length && ground.inside(ground.at(path, step));
    const next = moves ? arrows(ground, path, settings, step) : { parts: [], larger: 1 };
    ground.layer.replaceChildren(...parts, ...next.parts);
    return next.larger;
  }

  // ── The loss over time ───────────────────────────────────────────────────────────────────────

  // Returns a function that moves the mark, and may end the curves there.
  function loss(svg, traced, steps) {
    const all = OPTIMIZERS.flatMap((optimizer) => traced[optimizer].loss);
    const start = all[0] || 1; // at the minimum there may be none
    const within = (value) => Math.max(1e-12 * start, Math.min(1e3 * start, value));
    const low = Math.floor(Math.log10(within(Math.min(...all))));
    const high = Math.floor(Math.log10(within(Math.max(...all)))) + 1;
    const { inner, x, y, top, bottom, axes } = plot(svg, 0.5, [[0, steps], [low, high]]);
    const curves = OPTIMIZERS.map((optimizer) => {
      const logs = traced[optimizer].loss.map((value) => Math.log10(Math.max(value, 1e-300)));
      const points = logs.map((value, i) => [x(i), y(value)]);
      const curve = line(points, `path ${optimizer}`);
      inner.append(curve);
      const upTo = (step) => line(points.slice(0, step + 1), "").getAttribute("d");
      return (step) => curve.setAttribute("d", upTo(step));
    });
    const gap = Math.ceil((high - low) / 5);
    const powers = Array.from({ length: Math.floor((high - low) / gap) + 1 }, (_, i) => low + i * gap);
    const name = (power) => (power > -4 ? short(10 ** power) : `1e−${-power}`);
    axes([tr("updates"), "L"], ticks([0, steps]), powers.map((power) => [power, name(power)]));
    const mark = element("line", { y1: top, y2: bottom, class: "mark" });
    inner.append(mark);
    return (step, whole = true) => {
      ["x1", "x2"].forEach((end) => mark.setAttribute(end, x(step)));
      curves.forEach((draw) => draw(whole ? Infinity : step));
    };
  }

  // ── The map of regimes ───────────────────────────────────────────────────────────────────────

  // rows[j][i] is the regime of momenta[j] and lrs[i]. Returns how to read the map, and a function
  // that marks some settings on it and returns its word for them.
  function map(svg, rows, names, { lr: lrs, momentum: momenta }) {
    const ranges = [[0, lrs.length], [0, momenta.length]];
    const { inner, x, y, bottom, axes, ...drawn } = plot(svg, 0.62, ranges);
    const regions = names.map(() => []);
    rows.forEach((row, j) => {
      row.forEach((regime, i) => regions[regime].push([i, j]));
      for (let i = 0, end; i < row.length; i = end) {
        for (end = i; row[end] === row[i]; ) end += 1;
        const size = { width: x(end) - x(i), height: y(j) - y(j + 1) };
        inner.append(element("rect", { x: x(i), y: y(j + 1), ...size, class: `regime-${row[i]}` }));
      }
    });
    const middle = (cells) =>
      [0, 1].map((axis) => Math.round(cells.reduce((sum, cell) => sum + cell[axis], 0) / cells.length));
    // A name stands in the middle of its region or, if that is not in it, of its lowest row.
    regions.forEach((cells, regime) => {
      if (!cells.length) return;
      let [i, j] = middle(cells);
      if (rows[j][i] !== regime) [i, j] = middle(cells.filter((cell) => cell[1] === cells[0][1]));
      const room = x(rows[j].filter((it) => it === regime).length) - x(0);
      const needed = 5.7 * drawn.large * names[regime].replace(/[\u3000-\uffff]/g, "mm").length; // pixels
      if (room < needed) return; // the caption names it when you are there
      inner.append(label(x(i + 0.5), Math.min(y(j + 0.5) + 4, bottom - 4), names[regime]));
    });

    const some = (list, values) => values.map((value) => [list.indexOf(value) + 0.5, String(value)]);
    axes(["η", "λ"], some(lrs, [0.01, 0.1, 1]), some(momenta, [0, 0.5, 0.9, 0.99]));
    const here = element("path", { class: "here" });
    inner.append(here);
    function mark({ lr, momentum }) {
      const [i, j] = [lrs.indexOf(lr), momenta.indexOf(momentum)];
      const [left, height] = [x(i + 0.5), y(j + 0.5)];
      const circle = `M${left - 6} ${height}a6 6 0 1 0 12 0a6 6 0 1 0 -12 0`;
      here.setAttribute("d", `M${left - 12} ${height}h24M${left} ${height - 12}v24${circle}`);
      return names[rows[j][i]];
    }
    function read(place) {
      const cell = drawn.read(place)?.map(Math.floor);
      return cell && [lrs[cell[0]], momenta[cell[1]]];
    }
    return { read, mark };
  }

  // ── The points, and the lines through them ───────────────────────────────────────────────────

  // Returns a function that moves the lines, and lights the points of the next update.
  function data(svg, { points: [xs, ys], minimum }) {
    const range = (values) => [Math.min(...values) - 0.15, Math.max(...values) + 0.15];
    const { inner, x, y, axes } = plot(svg, 0.62, [range(xs), range(ys)]);
    axes(["x", "y"], ticks(range(xs)), ticks(range(ys)));
    const through = ([b, w], className) =>
      line(range(xs).map((value) => [x(value), y(b + w * value)]), className);
    inner.append(through(minimum, "best"));
    const layer = element("g", {});
    inner.append(layer);
    return (traced, step, lit = []) => {
      const parts = OPTIMIZERS.map((optimizer) => {
        const { places } = traced[optimizer];
        return through(places[Math.min(step, places.length - 1)], `path ${optimizer}`);
      });
      const { places } = traced.momentum;
      const [b, w] = places[Math.min(step, places.length - 1)];
      for (const i of lit) {
        const [across, up] = [xs[i], ys[i]];
        parts.push(line([[x(across), y(up)], [x(across), y(b + w * across)]], "residual"));
      }
      xs.forEach((value, i) => {
        const [r, className] = lit.includes(i) ? [6, "point lit"] : [4, "point"];
        parts.push(element("circle", { cx: x(value), cy: y(ys[i]), r, class: className }));
      });
      layer.replaceChildren(...parts);
    };
  }

  return { land, paths, loss, map, data, element, line, short, minus };
})();
