// Set the formulas, which pymdownx.arithmatex has marked.
document.querySelectorAll(".arithmatex").forEach((formula) => {
  const text = formula.textContent.trim();
  katex.render(text.slice(2, -2), formula, { displayMode: text.startsWith("\\[") });
});

// A screen reader reads out the name of a dialog.
document.querySelector(".md-search").setAttribute("aria-label", "Search");
