// The playground: from settings, by controls or a link, to pictures. All numbers come from
// playground.py: precomputed, in precomputed/*.js, or by Python in this page.
const precomputed = {}; // by surface

(() => {
  const home = document.currentScript.src;
  const box = document.getElementById("pg");
  const find = (id) => document.getElementById(`pg-${id}`);
  const { short, minus } = plots;

  let surface; // as precomputed/*.js tells it
  let settings; // what is wanted
  let scene; // what is shown, and for which settings
  let step = 12; // of the update that is shown
  let live = false; // Python is there

  // ── Settings ─────────────────────────────────────────────────────────────────────────────────

  const SLIDERS = ["lr", "momentum", "condition", "batch"];
  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
  function nearest(list, wanted) {
    const value = clamp(wanted, list[0], list.at(-1));
    return list.reduce((best, it) => (Math.abs(it - value) < Math.abs(best - value) ? it : best));
  }

  // What a slider offers: few values, or with Python more.
  function choices(name, fine = live) {
    const list = surface.coarse[name];
    return fine && list.length > 1 ? surface.fine[name] : list;
  }

  // The nearest settings that can be shown, now or when Python is there.
  function possible(wanted, fine = live) {
    const near = { ...wanted, start: fine ? wanted.start : surface.usual.start };
    for (const name of SLIDERS) near[name] = nearest(choices(name, fine), wanted[name]);
    return { ...near, start: near.start.map((value, i) => clamp(value, ...surface.view[i])) };
  }

  // A link carries what is not as usual: #surface=ball&momentum=0.8
  function toLink() {
    const words = new URLSearchParams({ surface: settings.surface });
    for (const [name, value] of Object.entries(surface.usual)) {
      if (String(settings[name]) !== String(value)) words.set(name, settings[name]);
    }
    return `#${words.toString().replaceAll("%2C", ",")}`;
  }

  const isLink = () => new URLSearchParams(location.hash.slice(1)).has("surface");

  // Browsers refuse to be told of every movement of a slider.
  let timer;
  function writeLink() {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", toLink()), 250);
  }

  function fromLink() {
    const words = new URLSearchParams(location.hash.slice(1));
    const found = { surface: words.get("surface") };
    const numbers = (name) => (words.get(name) ?? "").split(",").map(parseFloat);
    for (const name of SLIDERS) if (Number.isFinite(numbers(name)[0])) found[name] = numbers(name)[0];
    if (words.has("nesterov")) found.nesterov = words.get("nesterov") === "true";
    if (numbers("start").every(Number.isFinite)) found.start = numbers("start");
    return found;
  }

  function load(name) {
    if (precomputed[name]) return null;
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL(`precomputed/${name}.js`, home);
      script.onload = resolve;
      script.onerror = () => reject(new Error(`cannot read ${script.src}`));
      document.head.append(script);
    });
  }

  // To a surface, with its usual settings where no others are wanted.
  let latest; // of those that were asked for
  async function go(wanted) {
    const known = [...find("surface").options].map((option) => option.value);
    const name = known.includes(wanted.surface) ? wanted.surface : known[0];
    latest = wanted;
    find("surface").value = name;
    await load(name);
    if (latest !== wanted) return;
    surface = precomputed[name];
    settings = { ...surface.usual, ...wanted, surface: name };
    if (settings.start.length !== surface.axes.length) settings.start = surface.usual.start;
    await change({});
  }

  function change(changes) {
    pause();
    settings = possible({ ...settings, ...changes }, box.dataset.python !== "off");
    if (isLink() || Object.keys(changes).length) writeLink();
    offer();
    return refresh();
  }

  // ── From settings to a scene ─────────────────────────────────────────────────────────────────

  const ask = (name, given) => python.call("playground/playground.py", name, given);

  const kept = new Map(); // landscapes and maps, which change rarely
  async function remembered(name, given, known) {
    const key = JSON.stringify([name, given]);
    if (!kept.has(key)) kept.set(key, known ?? (await ask(name, given)));
    return kept.get(key);
  }

  function precomputedPaths({ condition, batch, lr, momentum, nesterov }) {
    const path = (λ) => {
      const key = `${condition} ${batch} ${lr} ${λ} ${λ && nesterov ? 1 : 0}`;
      const found = { ...surface.paths[key] };
      for (const [name, value] of Object.entries(found)) {
        const column = typeof value === "number"; // the same one at every place
        if (column) found[name] = Array(found.places.length).fill(value);
      }
      return found;
    };
    return { sgd: path(0), momentum: path(momentum) };
  }

  async function show(given) {
    const { condition, nesterov } = given;
    const shown = surface; // another one may be wanted before the answers come
    const land = { surface: given.surface, condition };
    const paths = live ? await ask("trace", given) : precomputedPaths(given);
    const landscape = await remembered("landscape", land, shown.landscapes[condition]);
    const key = `${condition} ${Number(nesterov)}`;
    const map = await remembered("regimes", { ...land, nesterov }, shown.maps[key]);
    scene = { surface: shown, settings: given, paths, landscape, map };
    box.dataset.source = live ? "live" : "precomputed";
    draw();
    performance.mark(`playground-${box.dataset.source}`); // for the tests: when it was drawn
  }

  // One question at a time. Of those that come meanwhile, the last one is answered next.
  let busy = false;
  let again = false;
  async function refresh() {
    again = true;
    if (busy) return;
    busy = true;
    try {
      while (again) {
        again = false;
        await show(possible(settings)).catch((error) => {
          if (!live) throw error;
          live = false;
          again = true;
          without(`Python stopped (${error.message})`);
        });
      }
    } finally {
      busy = false;
    }
  }

  // ── Python ───────────────────────────────────────────────────────────────────────────────────

  async function wake() {
    if (location.protocol === "file:") return without("opened from a disk, it cannot start Python");
    if (typeof python === "undefined") return without("there is no Python in it");
    const soon = "with it, the sliders are finer, and you can choose the start";
    tell(`Precomputed paths. Python is loading, 16 MB; ${soon}.`, "loading");
    try {
      const versions = await python.start();
      live = true;
      tell(`Live: ${versions}, in your browser.`, "live");
      offer();
      await refresh();
    } catch (error) {
      without(`Python did not start (${error.message})`);
    }
  }

  function without(reason) {
    const less = "The sliders are coarse, and the start is given.";
    tell(`This page shows precomputed paths: ${reason}. ${less}`, "off");
    offer();
  }

  function tell(words, state) {
    find("badge").textContent = words;
    box.dataset.python = state;
  }

  // ── Drawing ──────────────────────────────────────────────────────────────────────────────────

  let ground, moveMark, chart; // what the plots return
  let drawn = {}; // land and map change rarely, and take the longest to draw

  function draw() {
    const { surface, settings, paths, landscape, map } = scene;
    const { steps, regimes, fine, minimum } = surface;
    const width = box.clientWidth;
    const resized = width !== drawn.width;
    if (resized || landscape !== drawn.landscape) ground = plots.land(find("land"), surface, landscape);
    if (resized || map !== drawn.map) chart = plots.map(find("map"), map, regimes, fine);
    drawn = { width, landscape, map };
    moveMark = plots.loss(find("loss"), paths, steps);
    const word = chart.mark(settings);
    find("here").textContent =
      `You are here, η = ${settings.lr} and λ = ${settings.momentum}: near the minimum ` +
      `(${point(minimum)}), along its steepest direction, momentum ${word}.`;
    find("told").textContent = `SGD ${ending(paths.sgd)} Momentum ${ending(paths.momentum)}`;
    find("step").max = steps;
    drawStep(step);
  }

  const point = (values) => values.map((value) => minus(String(Number(value.toFixed(3))))).join(", ");

  function ending({ diverges, places, loss }) {
    if (diverges) return `diverges, and is far outside at update ${places.length - 1}.`;
    return `ends at (${point(places.at(-1))}), where L = ${short(loss.at(-1))}.`;
  }

  function drawStep(wanted) {
    const { surface, settings, paths } = scene;
    step = clamp(wanted, 0, surface.steps);
    const larger = plots.paths(ground, paths, settings, step);
    find("larger").textContent = larger > 1 ? `, all drawn ${larger} times as long` : "";
    moveMark(step);
    say(find("step"), step, `${step} of ${surface.steps}`);
    for (const [optimizer, path] of Object.entries(paths)) {
      const cells = readout(path, Math.min(step, path.places.length - 1));
      for (const name in cells) find(`${optimizer}-${name}`).textContent = cells[name];
    }
  }

  function readout(path, i) {
    const [low, high] = [path.lowest[i], path.highest[i]];
    const verdict = scene.surface.verdicts[path.verdict[i]];
    const bends = low < 0 ? (high > 0 ? "up and down" : "down") : "up";
    return {
      place: point(path.places[i]),
      loss: short(path.loss[i]),
      gradient: short(path.gradient_norm[i]),
      eigenvalues: path.places[i].length > 1 ? `${short(low)}, ${short(high)}` : short(low),
      verdict: verdict === "not a critical point" ? `${verdict}; here the loss bends ${bends}` : verdict,
    };
  }

  // ── Playing ──────────────────────────────────────────────────────────────────────────────────

  let frame = 0; // that was asked for, if it plays

  function pause() {
    cancelAnimationFrame(frame);
    frame = 0;
    find("play").textContent = "Play";
    find("count").ariaLive = "polite";
  }

  function play() {
    if (frame) return pause();
    const from = step < scene.surface.steps ? step : 0;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return drawStep(Infinity);
    const began = performance.now();
    const next = (time) => {
      const now = from + Math.floor(Math.max(0, time - began) / 80);
      if (now !== step) drawStep(now);
      if (step < scene.surface.steps) frame = requestAnimationFrame(next);
      else pause();
    };
    find("play").textContent = "Pause";
    find("count").ariaLive = "off";
    frame = requestAnimationFrame(next);
  }

  // ── Controls ─────────────────────────────────────────────────────────────────────────────────

  // Move a slider, and tell what that means: to readers beside it, and to screen readers.
  function say(slider, position, words) {
    slider.value = position;
    slider.setAttribute("aria-valuetext", words);
    slider.nextElementSibling.textContent = words;
  }

  // Fit the controls to the surface, and to what can be chosen now.
  function offer() {
    if (!settings) return;
    const now = possible(settings);
    for (const name of SLIDERS) {
      const slider = find(name);
      slider.max = choices(name).length - 1;
      say(slider, choices(name).indexOf(now[name]), now[name]);
      slider.closest("label").hidden = choices(name).length < 2;
    }
    find("surface").value = settings.surface;
    find("nesterov").checked = settings.nesterov;
    find("start").disabled = !live;
    find("start-1").closest("label").hidden = surface.axes.length < 2;
    surface.axes.forEach((axis, i) => {
      const input = find(`start-${i}`);
      [input.min, input.max, input.value] = [...surface.view[i], now.start[i]];
      input.previousElementSibling.textContent = axis;
    });
  }

  // Until the first picture is there, and while another surface is on its way, nothing answers.
  const there = () => scene?.settings.surface === find("surface").value;
  const on = (id, event, answer) =>
    find(id).addEventListener(event, (it) => there() && answer(it));
  const pressed = (event) => {
    const { left, top } = event.currentTarget.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };

  find("surface").onchange = ({ target }) => (location.hash = `surface=${target.value}`);
  for (const name of SLIDERS) {
    on(name, "input", ({ target }) => change({ [name]: choices(name)[target.value] }));
  }
  on("nesterov", "change", ({ target }) => change({ nesterov: target.checked }));
  on("start", "change", () => {
    const start = surface.axes.map((_, i) => find(`start-${i}`).valueAsNumber);
    change(start.every(Number.isFinite) ? { start } : {});
  });
  on("land", "click", (event) => {
    const start = ground.read(pressed(event))?.slice(0, surface.axes.length);
    if (live && start) change({ start: start.map((value) => Number(value.toFixed(2))) });
  });
  on("map", "click", (event) => {
    const read = chart.read(pressed(event));
    if (read) change({ lr: read[0], momentum: read[1] });
  });
  on("play", "click", play);
  for (const [id, event, wanted] of [
    ["next", "click", () => step + 1],
    ["reset", "click", () => 0],
    ["step", "input", () => find("step").valueAsNumber],
  ]) {
    on(id, event, () => {
      pause();
      drawStep(wanted());
    });
  }

  // A surface that cannot be read leaves all as it was.
  async function stay(error) {
    await change({ surface: settings.surface });
    find("told").textContent = `Nothing new can be shown: ${error.message}.`;
  }
  addEventListener("hashchange", () => {
    clearTimeout(timer);
    if (location.hash === "" || isLink()) go(fromLink()).catch(stay);
  });
  for (const link of document.querySelectorAll('a[href^="#surface="]')) {
    link.addEventListener("click", () => box.scrollIntoView());
  }
  new ResizeObserver(() => scene && box.clientWidth !== drawn.width && draw()).observe(box);
  go(fromLink()).then(wake, (error) => {
    tell(`Nothing can be shown: ${error.message}. Load the page again.`, "off");
  });
})();
