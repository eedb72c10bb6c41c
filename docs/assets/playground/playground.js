// The playground: from settings, by controls or a link, to pictures. All numbers come from
// playground.py: computed before, in precomputed/*.js, or by Python in this page.
const precomputed = {}; // by surface

(() => {
  const home = document.currentScript.src;
  const page = document.getElementById("pg");
  const find = (id) => document.getElementById(`pg-${id}`);
  const { short, minus } = plots;

  let about; // the surface: its file in precomputed/
  let settings; // what is wanted
  let scene; // what is shown, and for which settings
  let step = 12; // of the update that is shown
  let live = false; // Python is there

  // ── Settings ─────────────────────────────────────────────────────────────────────────────────

  const SLIDERS = ["lr", "momentum", "condition", "batch"];
  const nearest = (list, value) =>
    list.reduce((best, it) => (Math.abs(it - value) < Math.abs(best - value) ? it : best));

  function usual() {
    const { start, lr, momentum, conditions, batches } = about;
    return { start, lr, momentum, condition: conditions.at(-1), batch: batches[0], nesterov: false };
  }

  // What a slider offers: few values until Python can compute any.
  function choices(name) {
    const before = { lr: "lrs", momentum: "momenta", condition: "conditions", batch: "batches" };
    const list = about[before[name]];
    return live && list.length > 1 ? about.fine[name] : list;
  }

  // What can be shown of what is wanted.
  function possible() {
    const near = { ...settings, start: live ? settings.start : about.start };
    for (const name of SLIDERS) near[name] = nearest(choices(name), settings[name]);
    const inView = (value, i) => Math.min(about.view[i][1], Math.max(about.view[i][0], value));
    return { ...near, start: near.start.map(inView) };
  }

  // A link carries what is not as usual: #surface=ball&momentum=0.8
  function toLink() {
    const words = new URLSearchParams({ surface: settings.surface });
    for (const [name, value] of Object.entries(usual())) {
      if (String(settings[name]) !== String(value)) words.set(name, settings[name]);
    }
    return `#${words.toString().replaceAll("%2C", ",")}`;
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

  function load(surface) {
    return new Promise((resolve, reject) => {
      if (precomputed[surface]) return resolve();
      const script = document.createElement("script");
      script.src = new URL(`precomputed/${surface}.js`, home);
      script.onload = resolve;
      script.onerror = () => reject(new Error(`cannot read ${script.src}`));
      document.head.append(script);
    });
  }

  // To a surface, with its usual settings where no others are wanted.
  async function go(wanted) {
    pause();
    const known = [...find("surface").options].map((option) => option.value);
    const surface = known.includes(wanted.surface) ? wanted.surface : known[0];
    await load(surface);
    about = precomputed[surface];
    settings = { ...usual(), ...wanted, surface };
    if (settings.start.length !== about.axes.length) settings.start = about.start;
    await change({});
  }

  function change(changes) {
    pause();
    Object.assign(settings, changes);
    history.replaceState(null, "", toLink());
    offer();
    return refresh();
  }

  // ── From settings to a scene ─────────────────────────────────────────────────────────────────

  const ask = (name, given) => python.call("playground/playground.py", name, given);
  const kept = new Map(); // lands and maps, which change rarely

  async function remembered(name, given, before) {
    const key = JSON.stringify([name, given]);
    if (!kept.has(key)) kept.set(key, before ?? (await ask(name, given)));
    return kept.get(key);
  }

  function before({ condition, batch, lr, momentum, nesterov }) {
    const path = (λ, form) => {
      const found = { ...about.paths[`${condition} ${batch} ${lr} ${λ} ${form}`] };
      for (const [name, value] of Object.entries(found)) {
        const column = typeof value === "number"; // the same one at every place
        if (column) found[name] = Array(found.places.length).fill(value);
      }
      return found;
    };
    return { sgd: path(0, 0), momentum: path(momentum, momentum ? Number(nesterov) : 0) };
  }

  async function show(now) {
    const of = about;
    const { surface, condition, nesterov } = now;
    const traced = live ? await ask("trace", now) : before(now);
    const land = { surface, condition };
    const values = await remembered("landscape", land, of.landscapes[condition]);
    const form = `${condition} ${Number(nesterov)}`;
    const rows = await remembered("regimes", { ...land, nesterov }, of.regimes[form]);
    scene = { of, now, traced, values, rows };
    page.dataset.source = live ? "live" : "precomputed";
    performance.mark(`playground-${page.dataset.source}`);
    draw();
  }

  // One question at a time. Of those that come meanwhile, the last one is answered next.
  let busy = false;
  let again = false;
  async function refresh() {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      try {
        await show(possible());
      } catch (error) {
        if (!live) throw error;
        live = false;
        again = true;
        without(`Python stopped (${error.message})`);
      }
    }
    busy = false;
  }

  // ── Python ───────────────────────────────────────────────────────────────────────────────────

  async function wake() {
    if (typeof python === "undefined" || location.protocol === "file:") {
      return without("there is no Python in it");
    }
    const soon = "with it, sliders are finer, and the start is free";
    tell(`Precomputed paths. Python is loading, 15 MB; ${soon}.`, "loading");
    try {
      const what = await python.start();
      live = true;
      tell(`Live: ${what}, in your browser.`, "live");
      await change({});
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
    page.dataset.python = state;
  }

  // ── Drawing ──────────────────────────────────────────────────────────────────────────────────

  let ground, mark, chart; // what the plots return

  function draw() {
    const { of, now, traced, values, rows } = scene; // `about` may be another surface by now
    const { names, fine, steps } = of;
    const grid = { rows, names, lrs: fine.lr, momenta: fine.momentum };
    ground = plots.land(find("land"), of, values);
    mark = plots.loss(find("loss"), traced, steps);
    chart = plots.map(find("map"), grid, [now.lr, now.momentum]);
    const where = "near the minimum, along its steepest direction, momentum";
    find("here").textContent = `You are here, η = ${now.lr} and λ = ${now.momentum}: ${where} ${chart.word}.`;
    find("told").textContent = `SGD ${ending(traced.sgd)} Momentum ${ending(traced.momentum)}`;
    find("step").max = steps;
    drawStep(step);
  }

  const point = (values) => values.map((value) => minus(String(Number(value.toFixed(3))))).join(", ");

  function ending({ diverges, places, loss }) {
    if (diverges) return `diverges, and is far outside after ${places.length - 1} updates.`;
    return `ends at (${point(places.at(-1))}), where L = ${short(loss.at(-1))}.`;
  }

  function drawStep(wanted) {
    step = Math.max(0, Math.min(wanted, scene.of.steps));
    const larger = plots.paths(ground, scene.traced, scene.now.lr, step);
    mark(step);
    find("larger").textContent = larger > 1 ? `, all drawn ${larger} times as long` : "";
    say(find("step"), step, `${step} of ${scene.of.steps}`);
    for (const [kind, path] of Object.entries(scene.traced)) {
      const cells = readout(path, Math.min(step, path.places.length - 1));
      for (const name in cells) find(`${kind}-${name}`).textContent = cells[name];
    }
  }

  function readout(path, i) {
    const [low, high] = [path.lowest[i], path.highest[i]];
    const kind = scene.of.kinds[path.kind[i]];
    const bends = low < 0 ? (high > 0 ? "up and down" : "down") : "up";
    return {
      place: point(path.places[i]),
      loss: short(path.loss[i]),
      slope: short(path.slope[i]),
      eigenvalues: scene.of.axes.length > 1 ? `${short(low)}, ${short(high)}` : short(low),
      verdict: path.kind[i] === 0 ? `${kind}; here the loss bends ${bends}` : kind,
    };
  }

  // ── Playing ──────────────────────────────────────────────────────────────────────────────────

  let frame = 0; // that was asked for, if it plays

  function pause() {
    cancelAnimationFrame(frame);
    frame = 0;
    find("play").textContent = "Play";
  }

  function play() {
    if (frame) return pause();
    const from = step < scene.of.steps ? step : 0;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return drawStep(scene.of.steps);
    const began = performance.now();
    const next = (time) => {
      const now = from + Math.floor(Math.max(0, time - began) / 80);
      if (now !== step) drawStep(now);
      if (step < scene.of.steps) frame = requestAnimationFrame(next);
      else pause();
    };
    find("play").textContent = "Pause";
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
    const now = possible();
    for (const name of SLIDERS) {
      const input = find(name);
      input.max = choices(name).length - 1;
      say(input, choices(name).indexOf(now[name]), now[name]);
      input.closest("label").hidden = choices(name).length < 2;
    }
    find("surface").value = settings.surface;
    find("nesterov").checked = settings.nesterov;
    find("start").disabled = !live;
    find("start-1").closest("label").hidden = about.axes.length < 2;
    about.axes.forEach((axis, i) => {
      const input = find(`start-${i}`);
      [input.min, input.max, input.value] = [...about.view[i], now.start[i]];
      input.previousElementSibling.textContent = axis;
    });
  }

  const on = (id, event, answer) => find(id).addEventListener(event, answer);
  const pressed = (event) => {
    const { left, top } = event.currentTarget.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };

  on("surface", "change", ({ target }) => go({ surface: target.value }));
  for (const name of SLIDERS) {
    on(name, "input", ({ target }) => change({ [name]: choices(name)[target.value] }));
  }
  on("nesterov", "change", ({ target }) => change({ nesterov: target.checked }));
  on("start", "change", () => {
    const start = about.axes.map((_, i) => find(`start-${i}`).valueAsNumber);
    change(start.every(Number.isFinite) ? { start } : {});
  });
  on("land", "click", (event) => {
    const start = ground.start(pressed(event)).slice(0, about.axes.length);
    if (live) change({ start: start.map((value) => Number(value.toFixed(2))) });
  });
  on("map", "click", (event) => {
    const [lr, momentum] = chart.read(pressed(event));
    change({ lr, momentum });
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

  addEventListener("hashchange", () => go(fromLink()));
  for (const link of document.querySelectorAll('a[href^="#surface="]')) {
    link.addEventListener("click", () => page.scrollIntoView());
  }
  new ResizeObserver(() => scene && draw()).observe(page);
  go(fromLink()).then(wake);
})();
