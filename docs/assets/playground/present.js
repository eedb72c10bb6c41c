// A player as large as the window, for a class: by its button, or by ?present in the address.
const presentation = (() => {
  let presented; // the player

  // The settings that the page links to, for a class to click through.
  function offerPresets(player, wanted) {
    const links = [...document.querySelectorAll('article a[href*="#surface="]:not(.playground a)')];
    const list = player.find("presets");
    const name = (words) => words.replace(/^[a-z]/, (first) => first.toUpperCase());
    const options = links.map((it) => new Option(name(it.textContent), it.hash.slice(1)));
    list.replaceChildren(new Option(tr("Presets"), ""), ...options);
    list.hidden = !wanted || !links.length;
    list.onchange = () => list.value && player.visit(list.value);
  }

  function turn(player, by) {
    const list = player.find("presets");
    const to = list.selectedIndex + by;
    if (to < 1 || to >= list.options.length) return;
    list.selectedIndex = to;
    list.onchange();
  }

  function set(player, wanted) {
    presented = wanted ? player : undefined;
    player.box.classList.toggle("presented", wanted);
    document.documentElement.classList.toggle("presenting", wanted);
    player.find("present").textContent = wanted ? tr("Leave") : tr("Present");
    if (wanted) {
      player.hide(); // so that a class can bet
      player.wake();
      player.box.tabIndex = -1;
      player.box.focus({ preventScroll: true });
    }
    offerPresets(player, wanted);
    player.resize();
  }

  const toggle = (player) => set(player, presented !== player);

  function press(event) {
    if (!presented?.there() || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key } = event;
    if (target.matches("select, input[type=number]") && key !== "Escape") return;
    if (target.matches("input[type=range]") && key.startsWith("Arrow")) return;
    if (target.matches("button, input[type=checkbox]") && key === " ") return;
    const player = presented;
    const answer = {
      " ": () => player.play(),
      ArrowRight: () => player.goTo(player.step + 1),
      ArrowLeft: () => player.goTo(player.step - 1),
      Home: () => player.goTo(0),
      End: () => player.goTo(Infinity),
      ArrowUp: () => player.faster(1),
      ArrowDown: () => player.faster(-1),
      PageDown: () => turn(player, 1),
      PageUp: () => turn(player, -1),
      Escape: () => set(player, false),
    }[key];
    const option = player.find("surface").options["1234".indexOf(key)];
    if (!answer && !option) return;
    event.preventDefault();
    if (answer) answer();
    else player.choose(option.value);
  }
  document.addEventListener("keydown", press);

  return { toggle, is: (player) => presented === player };
})();
