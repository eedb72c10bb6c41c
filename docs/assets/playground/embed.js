// The player of an iframe: its settings come from the address, its colors from the system.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const color = () => (document.body.dataset.mdColorScheme = dark.matches ? "slate" : "default");
  dark.addEventListener("change", color);
  color();
  const box = document.createElement("div");
  box.className = "playground";
  box.dataset.preset = location.hash.slice(1);
  document.querySelector("main").append(box);
})();
