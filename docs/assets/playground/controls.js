// What a player consists of, as HTML. Every part that changes is found by its data-pg.
const controls = (() => {
  const SPEEDS = { 0.25: "¼", 0.5: "½", 1: "1", 2: "2", 4: "4" };
  const READOUT = {
    place: tr("place"),
    loss: tr("loss L"),
    gradient: tr("gradient norm ‖g‖"),
    eigenvalues: tr("eigenvalues of the Hessian"),
    verdict: tr("verdict"),
  };

  const slider = (name, label) =>
    `<label>${label} <input data-pg="${name}" type="range"><span class="value"></span></label>`;
  const button = (name, label) =>
    `<button data-pg="${name}" class="md-button" type="button">${label}</button>`;
  const row = ([name, label]) =>
    `<tr><th scope="row">${label}</th>
      <td data-pg="sgd-${name}"></td><td data-pg="momentum-${name}"></td></tr>`;
  const speed = ([value, name]) =>
    `<option value="${value}"${value === "1" ? " selected" : ""}>× ${name}</option>`;

  const HTML = `
    <div class="bar">
      <p data-pg="badge" role="status"></p>
      <a data-pg="whole">${tr("All settings")}</a>
      <button data-pg="present" type="button">${tr("Present")}</button>
    </div>
    <div class="settings">
      <label class="surface">${tr("Surface")} <select data-pg="surface">
        <option value="ravine">${tr("A ravine")}</option>
        <option value="ball">${tr("The rolling ball’s curve")}</option>
        <option value="saddle">${tr("The saddle (1 − w₁w₂)²")}</option>
        <option value="line">${tr("A line through 20 points")}</option>
      </select></label>
      ${slider("lr", tr("Learning rate η"))}
      ${slider("momentum", tr("Momentum λ"))}
      ${slider("condition", tr("Condition number κ"))}
      ${slider("batch", tr("Batch size B"))}
      <label class="check"><input data-pg="nesterov" type="checkbox"> Nesterov</label>
      <fieldset data-pg="start"><legend>${tr("Start (or drag the ring)")}</legend>
        <label><span></span> <input data-pg="start-0" type="number" step="any"></label>
        <label><span></span> <input data-pg="start-1" type="number" step="any"></label>
      </fieldset>
    </div>
    <figure class="main">
      <svg data-pg="land" role="group" aria-label="${tr("The surface, and the paths on it")}"></svg>
      <figcaption><span class="key sgd">SGD</span> <span class="key momentum">Momentum</span>${tr(", and its next step:")}
        <span class="key slope">${tr("against the gradient")}</span>
        <span class="key last">${tr("what is left of the last step")}</span>
        <span class="key sum">${tr("their sum")}</span><span data-pg="larger"></span></figcaption>
    </figure>
    <div class="transport">
      ${button("play", tr("Play"))} ${button("next", tr("Step"))}
      ${button("reset", tr("Reset"))}
      <select data-pg="presets" aria-label="${tr("Presets")}"
        title="${tr("Page down: the next")}" hidden></select>
      <label class="time">${tr("Update")} <input data-pg="step" type="range" value="0"><span
        data-pg="count" class="value"></span></label>
      <label class="speed">${tr("Speed")} <select data-pg="speed">${Object.entries(SPEEDS)
        .sort(([a], [b]) => a - b)
        .map(speed)
        .join("")}</select></label>
    </div>
    <p data-pg="told" aria-live="polite"></p>
    <div class="more">
      <figure class="data"><svg data-pg="data" role="img"
        aria-label="${tr("The 20 points, and the lines so far")}"></svg>
        <figcaption>${tr("The line at this update: SGD’s dashed, Momentum’s solid, the best one dotted. Filled: the points of the next batch.")}</figcaption></figure>
      <figure class="loss"><svg data-pg="loss" role="img"
        aria-label="${tr("The loss after each update, for SGD and Momentum")}"></svg>
        <figcaption>${tr("The loss L after each update, down to 10⁻¹² of the first")}</figcaption></figure>
      <figure class="regimes"><svg data-pg="map" role="img"></svg>
        <figcaption data-pg="here"></figcaption></figure>
    </div>
    <table>
      <thead><tr><th scope="col">${tr("where it stands")}</th>
        <th scope="col">SGD</th><th scope="col">Momentum</th></tr></thead>
      <tbody>${Object.entries(READOUT).map(row).join("")}</tbody>
    </table>
    <p class="keys">${tr("space play · ← → step · home start · ↑ ↓ speed · 1–4 surface · esc leave")}</p>`;

  // Arrowheads and dots, once on a page, to which all drawings refer.
  const marker = (name, className, shape, size) =>
    `<marker id="pg-${name}" class="${className}" viewBox="0 0 8 8" ${size}>${shape}</marker>`;
  const head = (name) =>
    marker(`head-${name}`, name, '<path d="M0 0L8 4L0 8Z"/>',
      'refX="7" refY="4" markerWidth="4.5" markerHeight="4.5" orient="auto"');
  const dot = (name, shape) =>
    marker(`dot-${name}`, `dot ${name}`, shape,
      'refX="4" refY="4" markerWidth="2.2" markerHeight="2.2"');
  const MARKERS = `<svg class="pg-markers" width="0" height="0" aria-hidden="true"><defs>
    ${["slope", "last", "sum"].map(head).join("")}
    ${dot("sgd", '<rect width="8" height="8"/>')}
    ${dot("momentum", '<circle cx="4" cy="4" r="4"/>')}</defs></svg>`;

  // Fill an element; return how to find its parts.
  function fill(box) {
    if (!document.querySelector(".pg-markers")) {
      document.body.insertAdjacentHTML("beforeend", MARKERS);
    }
    box.innerHTML = HTML;
    const parts = {};
    for (const part of box.querySelectorAll("[data-pg]")) parts[part.dataset.pg] = part;
    return (name) => parts[name];
  }

  return { fill };
})();
