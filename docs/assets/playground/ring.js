// The ring at the start: drag it, or move it by the arrow keys, and the paths follow.
const ring = (() => {
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  function take(player, event) {
    event.preventDefault();
    event.stopPropagation();
    event.currentTarget.focus({ preventScroll: true });
    const land = player.find("land");
    land.setPointerCapture(event.pointerId);
    player.box.classList.add("dragging");
    player.follow();
    const move = (it) => {
      const start = player.startAt(it);
      if (player.live && start) player.change({ start }, true);
    };
    const drop = () => {
      land.removeEventListener("pointermove", move);
      setTimeout(() => player.box.classList.remove("dragging")); // after the click that comes now
      if (player.live) player.change({});
    };
    land.addEventListener("pointermove", move);
    land.addEventListener("pointerup", drop, { once: true });
    land.addEventListener("pointercancel", drop, { once: true });
  }

  // A hundredth of the view; with Shift, a tenth.
  function nudge(player, event) {
    const move = KEYS[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    player.follow();
    if (!player.live) return;
    const part = event.shiftKey ? 0.1 : 0.01;
    const start = player.settings.start.map((value, i) => {
      const [low, high] = player.surface.view[i];
      return Number((value + move[i] * part * (high - low)).toFixed(3));
    });
    player.change({ start });
  }

  // Draw it on new ground. Returns a function that moves it.
  function draw(player, ground) {
    const { element } = plots;
    const group = element(
      "g",
      { class: "ring", tabindex: 0, role: "button" },
      element("circle", { r: 22, class: "reach" }),
      element("circle", { r: 11 * ground.large }),
      element("text", { y: -16 * ground.large, "text-anchor": "middle" }, tr("start")),
    );
    group.addEventListener("pointerdown", (event) => take(player, event));
    // A finger on it must not scroll the page; touch-action is not heeded inside of an SVG.
    group.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    group.addEventListener("keydown", (event) => nudge(player, event));
    ground.grip.replaceChildren(group);
    return (at, words) => {
      group.setAttribute("transform", `translate(${at.join(" ")})`);
      group.setAttribute("aria-label", tr("The start, {}. Move it with the arrow keys.", words));
    };
  }

  return { draw };
})();
