// One player: from settings, by controls or a link, to pictures.
const Player = (() => {
  const SLIDERS = ["lr", "momentum", "condition", "batch"];
  const PACE = 80; // milliseconds between two updates
  const { base } = JSON.parse(document.getElementById("__config")?.textContent ?? '{"base": "."}');
  const home = new URL(`${base}/playground/`, location); // in the same edition
  const { short, minus } = plots;

  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
  function nearest(list, wanted) {
    const value = clamp(wanted, list[0], list.at(-1));
    return list.reduce((best, it) => (Math.abs(it - value) < Math.abs(best - value) ? it : best));
  }

  const point = (values) => values.map((it) => minus(String(Number(it.toFixed(3))))).join(", ");
  const tiny = (it) => (it && it < 1e-3 ? minus(it.toExponential(1)) : short(it));

  // ── Links: #surface=ball&momentum=0.8 carries what is not as usual ──────────────────────────────

  const isLink = () => new URLSearchParams(location.hash.slice(1)).has("surface");

  function read(link) {
    const words = new URLSearchParams(link);
    const found = { surface: words.get("surface") };
    const values = (name) => (words.get(name) ?? "").split(",").map(parseFloat);
    for (const name of SLIDERS) if (Number.isFinite(values(name)[0])) found[name] = values(name)[0];
    if (words.has("nesterov")) found.nesterov = words.get("nesterov") === "true";
    if (values("start").every(Number.isFinite)) found.start = values("start");
    return found;
  }

  function write(settings, usual) {
    const words = new URLSearchParams({ surface: settings.surface });
    for (const [name, value] of Object.entries(usual)) {
      if (String(settings[name]) !== String(value)) words.set(name, settings[name]);
    }
    return `#${words.toString().replaceAll("%2C", ",")}`;
  }

  class Player {
    surface; // as precomputed/*.js tells it
    settings; // what is wanted
    scene; // what is shown, and for which settings
    step = 0; // the update that is shown
    seen = true; // the whole path may be shown, and not only what was played
    live = false; // Python is there

    constructor(box, present = false) {
      this.box = box;
      this.small = box.hasAttribute("data-preset");
      this.find = controls.fill(box);
      box.classList.toggle("small", this.small);
      this.tell(this.small ? tr("Drag the start: this loads Python, 16 MB.") : "", "waiting");
      this.listen();
      if (present) presentation.toggle(this);
      const owned = this.small && !(present && isLink());
      const wanted = read(owned ? box.dataset.preset : location.hash.slice(1));
      this.go(wanted).then(
        () => this.begin(),
        (error) => this.tell(tr("Nothing can be shown: {}. Load the page again.", error.message), "off"),
      );
    }

    begin() {
      if (presentation.is(this)) return;
      if ("play" in this.box.dataset) this.play();
      if (this.small) return;
      this.wake();
      this.drawStep(12); // with its arrows, so that there is something to see
      const first = () => (this.step = 0); // but it is played from its start
      this.find("play").addEventListener("click", first, { once: true, capture: true });
    }

    // ── Settings ───────────────────────────────────────────────────────────────────────────────

    // What a slider offers: few values, or with Python more.
    choices(name) {
      const list = this.surface.coarse[name];
      if (this.live && list.length > 1) return this.surface.fine[name];
      return [...new Set([...list, this.settings[name]])].sort((a, b) => a - b);
    }

    // The nearest settings of those that Python can show or, without it, that are precomputed.
    possible(wanted, python) {
      const { coarse, fine, usual, view } = precomputed[wanted.surface];
      const near = { ...wanted };
      for (const name of SLIDERS) {
        near[name] = nearest(coarse[name].length > 1 ? fine[name] : coarse[name], wanted[name]);
      }
      near.start = near.start.map((value, i) => clamp(value, ...view[i]));
      if (python || numbers.has(near)) return near;
      for (const name of SLIDERS) near[name] = nearest(coarse[name], wanted[name]);
      return { ...near, start: usual.start };
    }

    // To a surface, with its usual settings where no others are wanted. What is not precomputed
    // waits for Python: nothing else is shown in its place.
    async go(wanted) {
      const known = [...this.find("surface").options].map((option) => option.value);
      const name = known.includes(wanted.surface) ? wanted.surface : known[0];
      this.wanted = wanted;
      this.find("surface").value = name;
      const surface = await numbers.load(name);
      if (this.wanted !== wanted) return;
      const all = { ...surface.usual, ...wanted, surface: name };
      if (all.start.length !== surface.axes.length) all.start = surface.usual.start;
      const settings = this.possible(all, true);
      if (!this.live && !numbers.has(settings)) {
        await this.wake();
        if (this.wanted !== wanted) return;
      }
      [this.surface, this.settings] = [surface, settings];
      this.box.dataset.surface = name;
      await this.change({});
      if (this.live || numbers.has(settings)) return;
      const badge = this.find("badge");
      const nearest = tr("Shown are the nearest settings to those of the link.");
      badge.textContent = sentences(badge.textContent, nearest);
    }

    choose(surface) {
      this.visit(`surface=${surface}`);
    }

    // To settings as links have them.
    visit(settings) {
      if (presentation.is(this)) this.hide();
      if (this.small) this.go(read(settings)).catch((error) => this.stay(error));
      else location.hash = settings;
    }

    change(changes, sketch = false) {
      this.pause();
      const wanted = { ...this.settings, ...changes };
      this.settings = this.possible(wanted, this.live);
      if (isLink() || Object.keys(changes).length) this.writeLink();
      this.offer();
      return this.refresh(sketch);
    }

    // Browsers refuse to be told of every movement of a slider.
    writeLink() {
      if (this.small) return;
      clearTimeout(this.timer);
      const link = () => history.replaceState(null, "", write(this.settings, this.surface.usual));
      this.timer = setTimeout(link, 250);
    }

    // A surface that cannot be read leaves all as it was.
    async stay(error) {
      this.find("surface").value = this.settings.surface;
      await this.change({ surface: this.settings.surface });
      this.find("told").textContent = tr("Nothing new can be shown: {}.", error.message);
    }

    // ── From settings to a scene ───────────────────────────────────────────────────────────────

    async show(settings, sketch) {
      const { surface, live } = this; // others may be wanted before the answers come
      const paths = await numbers.paths(settings, live, sketch);
      const landscape = await numbers.landscape(settings);
      const map = await numbers.regimes(settings);
      this.scene = { surface, settings, paths, landscape, map };
      this.box.dataset.source = live ? "live" : "precomputed";
      this.draw();
      performance.mark(`playground-${this.box.dataset.source}`); // when it was drawn: for the tests
    }

    // One question at a time. Of those that come meanwhile, the last one is answered next.
    async refresh(sketch) {
      this.asked = { sketch };
      if (this.busy) return;
      this.busy = true;
      try {
        while (this.asked) {
          const { sketch } = this.asked;
          this.asked = undefined;
          await this.show(this.settings, sketch).catch((error) => {
            if (!this.live) throw error;
            this.live = false;
            this.asked = { sketch: false };
            this.without(tr("Python stopped ({})", error.message));
          });
        }
      } finally {
        this.busy = false;
      }
    }

    // ── Python ─────────────────────────────────────────────────────────────────────────────────

    wake() {
      this.waking ??= this.startPython();
      return this.waking;
    }

    async startPython() {
      if (location.protocol === "file:") {
        return this.without(tr("opened from a disk, it cannot start Python"));
      }
      if (typeof python === "undefined") return this.without(tr("there is no Python in it"));
      const more = tr("With it, the sliders are finer, and you can choose the start.");
      this.tell(`${tr("Precomputed paths. Python is loading, 16 MB.")} ${more}`, "loading");
      try {
        const versions = await python.start();
        this.live = true;
        this.tell(tr("Live: {}, in your browser.", versions), "live");
        this.offer();
        if (this.scene) await this.refresh();
      } catch (error) {
        this.waking = undefined; // the next attempt may succeed
        this.without(tr("Python did not start ({})", error.message));
      }
    }

    without(reason) {
      const less = tr("The sliders are coarse, and the start is given.");
      this.tell(`${tr("This page shows precomputed paths: {}.", reason)} ${less}`, "off");
      if (this.settings) this.settings = this.possible(this.settings, false);
      this.offer();
    }

    tell(words, state) {
      this.find("badge").textContent = words;
      this.box.dataset.python = state;
    }

    // ── Drawing ────────────────────────────────────────────────────────────────────────────────

    drawn = {}; // land and map change rarely, and take the longest to draw

    shape() {
      return `${this.box.clientWidth} ${presentation.is(this) ? this.box.clientHeight : 0}`;
    }

    resize() {
      if (this.scene && this.shape() !== this.drawn.shape) this.draw();
    }

    draw() {
      const { surface, settings, paths, landscape, map } = this.scene;
      const shape = this.shape();
      const resized = shape !== this.drawn.shape;
      const shown = (name) => this.find(name).parentElement.clientWidth > 0;
      if (resized || landscape !== this.drawn.landscape) {
        this.ground = plots.land(this.find("land"), surface, landscape);
        this.moveRing = ring.draw(this, this.ground);
      }
      this.moveMark = shown("loss") && plots.loss(this.find("loss"), paths, surface.steps);
      this.moveLines = surface.points && plots.data(this.find("data"), surface);
      if (shown("map")) {
        if (resized || map !== this.drawn.map) {
          this.chart = plots.map(this.find("map"), map, surface.regimes.map((it) => tr(it)), surface.fine);
        }
        const word = this.chart.mark(settings);
        const here = tr(
          "You are here, η = {} and λ = {}: near the minimum ({}), along its steepest direction, momentum {}.",
          ...[settings.lr, settings.momentum, point(surface.minimum), word],
        );
        this.find("here").textContent = here;
        this.find("map").setAttribute("aria-label", here);
      }
      this.drawn = { shape, landscape, map };
      this.moveRing(this.ground.at(paths.momentum, 0), point(settings.start));
      this.find("step").max = surface.steps;
      this.drawStep(this.step);
    }

    told() {
      const { sgd, momentum } = this.scene.paths;
      const ending = (name, { diverges, places, loss }) =>
        diverges
          ? tr("{} diverges, and is far outside at update {}.", name, places.length - 1)
          : tr("{} ends at ({}), where L = {}.", name, point(places.at(-1)), tiny(loss.at(-1)));
      if (!this.scene.settings.momentum) {
        return sentences(tr("With λ = 0, Momentum is SGD."), ending("SGD", sgd));
      }
      return sentences(ending("SGD", sgd), ending("Momentum", momentum));
    }

    drawStep(wanted) {
      const { surface, settings, paths } = this.scene;
      const step = clamp(wanted, 0, surface.steps);
      this.step = step;
      this.seen ||= step === surface.steps;
      const larger = plots.paths(this.ground, paths, settings, step, this.seen);
      this.find("larger").textContent = larger > 1 ? tr(", all drawn {} times as long", larger) : "";
      if (this.moveMark) this.moveMark(step, this.seen);
      if (this.moveLines) this.moveLines(paths, step, surface.dealt[settings.batch]?.[step]);
      this.say("step", step, tr("{} of {}", step, surface.steps));
      this.find("told").textContent = this.seen ? this.told() : "";
      if (!paths.sgd.verdict) return; // a sketch
      for (const [optimizer, path] of Object.entries(paths)) {
        const cells = this.readout(path, Math.min(step, path.places.length - 1));
        for (const name in cells) this.find(`${optimizer}-${name}`).textContent = cells[name];
      }
    }

    readout(path, i) {
      const [low, high] = [path.lowest[i], path.highest[i]];
      const verdict = this.scene.surface.verdicts[path.verdict[i]];
      const bends = low < 0 ? (high > 0 ? tr("up and down") : tr("down")) : tr("up");
      const slopes = verdict === "not a critical point";
      return {
        place: point(path.places[i]),
        loss: short(path.loss[i]),
        gradient: short(path.gradient_norm[i]),
        eigenvalues: path.places[i].length > 1 ? `${short(low)}, ${short(high)}` : short(low),
        verdict: slopes ? tr("{}; here the loss bends {}", tr(verdict), bends) : tr(verdict),
      };
    }

    // ── The start ──────────────────────────────────────────────────────────────────────────────

    startAt({ clientX, clientY }) {
      const { left, top } = this.find("land").getBoundingClientRect();
      const at = this.ground.read([clientX - left, clientY - top]);
      return at?.slice(0, this.surface.axes.length).map((value) => Number(value.toFixed(2)));
    }

    // Before the start moves: all of the path is shown, since it follows.
    follow() {
      this.wake();
      [this.step, this.seen] = [0, true];
    }

    // ── Playing ────────────────────────────────────────────────────────────────────────────────

    frame = 0; // that was asked for, if it plays

    pause() {
      cancelAnimationFrame(this.frame);
      this.frame = 0;
      this.find("play").textContent = tr("Play");
      this.find("count").ariaLive = "polite";
    }

    play() {
      if (this.frame) return this.pause();
      if (this.step >= this.scene.surface.steps) this.step = 0;
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.drawStep(Infinity);
      let [before, due] = [performance.now(), this.step];
      const next = (time) => {
        due += (Math.max(0, time - before) / PACE) * Number(this.find("speed").value);
        before = time;
        if (Math.floor(due) !== this.step) this.drawStep(Math.floor(due));
        if (this.step < this.scene.surface.steps) this.frame = requestAnimationFrame(next);
        else this.pause();
      };
      this.find("play").textContent = tr("Pause");
      this.find("count").ariaLive = "off";
      this.frame = requestAnimationFrame(next);
    }

    goTo(step) {
      this.pause();
      this.drawStep(step);
    }

    // Back to the start, with nothing told of what comes.
    hide() {
      [this.step, this.seen] = [0, false];
      if (!this.scene) return;
      this.pause();
      this.drawStep(0);
    }

    faster(by) {
      const speeds = this.find("speed");
      speeds.selectedIndex = clamp(speeds.selectedIndex + by, 0, speeds.options.length - 1);
    }

    // ── Controls ───────────────────────────────────────────────────────────────────────────────

    // Move a slider, and tell what that means: to readers beside it, and to screen readers.
    say(name, position, words) {
      const slider = this.find(name);
      slider.value = position;
      slider.setAttribute("aria-valuetext", words);
      slider.nextElementSibling.textContent = words;
    }

    // Fit the controls to the surface, and to what can be chosen now.
    offer() {
      const { surface, settings } = this;
      if (!settings) return;
      const offered = this.box.dataset.sliders?.split(" ") ?? SLIDERS;
      for (const name of SLIDERS) {
        const list = this.choices(name);
        this.find(name).max = list.length - 1;
        this.say(name, list.indexOf(settings[name]), settings[name]);
        const fixed = surface.coarse[name].length < 2 || !offered.includes(name);
        this.find(name).closest("label").hidden = fixed;
      }
      this.find("nesterov").checked = settings.nesterov;
      this.find("start").disabled = !this.live;
      this.find("start-1").closest("label").hidden = surface.axes.length < 2;
      this.find("whole").href = home + write(settings, surface.usual);
      surface.axes.forEach((axis, i) => {
        const input = this.find(`start-${i}`);
        [input.min, input.max, input.value] = [...surface.view[i], settings.start[i]];
        input.previousElementSibling.textContent = axis;
      });
    }

    // Until the first picture is there, and while another surface is on its way, nothing answers.
    there() {
      return this.scene?.settings.surface === this.find("surface").value;
    }

    on(name, event, answer) {
      this.find(name).addEventListener(event, (it) => this.there() && answer(it));
    }

    listen() {
      this.find("surface").onchange = ({ target }) => this.choose(target.value);
      for (const name of SLIDERS) {
        this.on(name, "input", ({ target }) =>
          this.change({ [name]: this.choices(name)[target.value] }),
        );
        if ("play" in this.box.dataset) {
          this.on(name, "change", () => {
            this.step = 0;
            this.play();
          });
        }
      }
      this.on("nesterov", "change", ({ target }) => this.change({ nesterov: target.checked }));
      this.on("start", "change", () => {
        const start = this.surface.axes.map((_, i) => this.find(`start-${i}`).valueAsNumber);
        this.change(start.every(Number.isFinite) ? { start } : {});
      });
      this.on("land", "click", (event) => {
        const start = this.startAt(event);
        const dragged = this.box.classList.contains("dragging");
        if (this.live && start && !dragged) this.change({ start });
      });
      this.on("map", "click", ({ clientX, clientY, currentTarget }) => {
        const { left, top } = currentTarget.getBoundingClientRect();
        const found = this.chart.read([clientX - left, clientY - top]);
        if (found) this.change({ lr: found[0], momentum: found[1] });
      });
      this.on("play", "click", () => this.play());
      this.on("next", "click", () => this.goTo(this.step + 1));
      this.on("reset", "click", () => this.goTo(0));
      this.on("step", "input", ({ target }) => this.goTo(target.valueAsNumber));
      this.find("present").onclick = () => presentation.toggle(this);
      new ResizeObserver(() => this.resize()).observe(this.box);
      if (!this.small) this.followLinks();
    }

    followLinks() {
      addEventListener("hashchange", () => {
        clearTimeout(this.timer);
        if (location.hash !== "" && !isLink()) return;
        this.go(read(location.hash.slice(1))).catch((error) => this.stay(error));
      });
      for (const link of document.querySelectorAll('a[href^="#surface="]')) {
        link.addEventListener("click", () => this.box.scrollIntoView());
      }
    }
  }

  return Player;
})();
