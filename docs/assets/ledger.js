// Buttons that leave only the claims with one verdict.
(() => {
  const rows = [...document.querySelectorAll(".ledger tbody tr")];
  const count = document.querySelector(".count");
  if (!rows.length) return;
  const verdictOf = (row) => row.querySelector(".verdict").textContent;
  const verdicts = [...new Set(rows.map(verdictOf))].sort();
  const group = document.createElement("div");
  group.className = "filters";
  group.role = "group";
  group.ariaLabel = tr("Show the claims with this verdict");

  function choose(pressed) {
    for (const button of group.children) button.ariaPressed = button === pressed;
    const { verdict } = pressed.dataset;
    for (const row of rows) row.hidden = verdict && verdictOf(row) !== verdict;
  }

  for (const verdict of ["", ...verdicts]) {
    const button = document.createElement("button");
    const number = rows.filter((row) => !verdict || verdictOf(row) === verdict).length;
    button.type = "button";
    button.textContent = `${verdict || tr("all")} (${number})`;
    button.dataset.verdict = verdict;
    button.onclick = () => choose(button);
    group.append(button);
  }
  choose(group.firstChild);
  count.after(group);
})();
