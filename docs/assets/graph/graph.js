// Turn the steps of a backward pass. Python has drawn the whole of it (tinygrad_edu/graph.py), each
// state with the steps in which it is seen; here it is only shown, hidden and lit.
const backwardPass = (() => {
  const element = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  function turn(figure) {
    const steps = [...figure.querySelectorAll("ol > li")];
    const last = steps.length - 1;
    const states = [...figure.querySelectorAll("[data-from]")];
    const lit = [...figure.querySelectorAll('[data-on]:not([data-on=""])')];
    const ariaLabel = tr("Step of the backward pass");
    const slider = element("input", { type: "range", min: 0, max: last, ariaLabel });
    const button = (text, ariaLabel, by) =>
      element("button", { type: "button", ariaLabel, onclick: () => show(slider.valueAsNumber + by) }, text);
    const back = button("←", tr("One step back"), -1);
    const on = button("→", tr("One step on"), 1);

    function show(number) {
      slider.value = number; // which keeps it within the limits
      const now = slider.valueAsNumber;
      for (const { style, dataset } of states) {
        const seen = now >= dataset.from && now < (dataset.to ?? Infinity);
        style.visibility = seen ? "visible" : "hidden";
      }
      for (const it of lit) it.classList.toggle("on", it.dataset.on.split(" ").includes(`${now}`));
      steps.forEach((step, number) => {
        step.ariaCurrent = number === now ? "step" : null;
      });
      slider.ariaValueText = steps[now].textContent;
      [back.disabled, on.disabled] = [now === 0, now === last];
    }

    slider.oninput = () => show(slider.valueAsNumber);
    steps.forEach((step, number) => (step.onclick = () => show(number)));
    figure.classList.add("turns");
    figure.querySelector("ol").before(element("div", { className: "turn" }, back, slider, on));
    show(0);
  }

  document.querySelectorAll("figure.backward-pass").forEach(turn);

  // A new one, for the code of a reader: as docs_tools/fences.py does, it follows the page's colors.
  return (html) => {
    const dark = '[data-md-color-scheme="slate"]';
    const { firstChild } = element("template", {
      innerHTML: html.replace("@media(prefers-color-scheme:dark)", dark),
    }).content;
    turn(firstChild);
    return firstChild;
  };
})();
