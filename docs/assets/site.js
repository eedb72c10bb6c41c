// Set the formulas, which pymdownx.arithmatex has marked.
document.querySelectorAll(".arithmatex").forEach((formula) => {
  const text = formula.textContent.trim();
  katex.render(text.slice(2, -2), formula, { displayMode: text.startsWith("\\[") });
  // One that scrolls can be reached by the keyboard.
  const reach = () => (formula.tabIndex = formula.scrollWidth > formula.clientWidth ? 0 : -1);
  if (formula.localName === "div") new ResizeObserver(reach).observe(formula);
});

// A screen reader reads out the name of a dialog.
document.querySelector(".md-search").setAttribute("aria-label", tr("Search"));

// A picture that moves gets a button; where motion is unwelcome, it waits for the button.
document.querySelectorAll('.md-content img[src*=".gif"]').forEach((image) => {
  const box = document.createElement("span");
  const button = document.createElement("button");
  const still = document.createElement("canvas"); // its first frame
  box.className = `moving ${new URL(image.src).hash.slice(1)}`; // only-light or only-dark
  button.type = "button";
  still.role = "img";
  still.ariaLabel = image.alt;
  image.replaceWith(box);
  box.append(image, still, button);

  function move(wanted) {
    image.hidden = !wanted;
    still.hidden = wanted;
    button.textContent = wanted ? tr("Pause") : tr("Play");
  }
  async function draw() {
    await image.decode();
    [still.width, still.height] = [image.naturalWidth, image.naturalHeight];
    still.getContext("2d").drawImage(image, 0, 0);
  }
  button.onclick = () => move(image.hidden);
  image.loading = "eager"; // a lazy one is not decoded while it is hidden
  draw();
  move(!matchMedia("(prefers-reduced-motion: reduce)").matches);
});
