// What a player consists of, as HTML. Every part that changes is found by its data-pg.
const controls = (() => {
  const SPEEDS = { 0.25: "¼", 0.5: "½", 1: "1", 2: "2", 4: "4" };
  const READOUT = {
    place: "place",
    loss: "loss L",
    gradient: "gradient norm ‖g‖",
    eigenvalues: "eigenvalues of the Hessian",
    verdict: "verdict",
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
      <a data-pg="whole">All settings</a>
      <button data-pg="present" type="button">Present</button>
    </div>
    <div class="settings">
      <label class="surface">Surface <select data-pg="surface">
        <option value="ravine">A ravine</option>
        <option value="ball">The rolling ball’s curve</option>
        <option value="saddle">The saddle (1 − w₁w₂)²</option>
        <option value="line">A line through 20 points</option>
      </select></label>
      ${slider("lr", "Learning rate η")}
      ${slider("momentum", "Momentum λ")}
      ${slider("condition", "Condition number κ")}
      ${slider("batch", "Batch size B")}
      <label class="check"><input data-pg="nesterov" type="checkbox"> Nesterov</label>
      <fieldset data-pg="start"><legend>Start (or drag the ring)</legend>
        <label><span></span> <input data-pg="start-0" type="number" step="any"></label>
        <label><span></span> <input data-pg="start-1" type="number" step="any"></label>
      </fieldset>
    </div>
    <figure class="main">
      <svg data-pg="land" role="group" aria-label="The surface, and the paths on it"></svg>
      <figcaption><span class="key sgd">SGD</span> <span class="key momentum">Momentum</span>, and
        its next step: <span class="key slope">against the gradient</span>
        <span class="key last">what is left of the last step</span>
        <span class="key sum">their sum</span><span data-pg="larger"></span></figcaption>
    </figure>
    <div class="transport">
      ${button("play", "Play")} ${button("next", "Step")} ${button("reset", "Reset")}
      <select data-pg="presets" aria-label="Presets" title="Page down: the next" hidden></select>
      <label class="time">Update <input data-pg="step" type="range" value="0"><span
        data-pg="count" class="value"></span></label>
      <label class="speed">Speed <select data-pg="speed">${Object.entries(SPEEDS)
        .sort(([a], [b]) => a - b)
        .map(speed)
        .join("")}</select></label>
    </div>
    <p data-pg="told" aria-live="polite"></p>
    <div class="more">
      <figure class="data"><svg data-pg="data" role="img"
        aria-label="The 20 points, and the lines so far"></svg>
        <figcaption>The line at this update: SGD’s dashed, Momentum’s solid, the best one dotted.
          Filled: the points of the next batch.</figcaption></figure>
      <figure class="loss"><svg data-pg="loss" role="img"
        aria-label="The loss after each update, for SGD and Momentum"></svg>
        <figcaption>The loss L after each update, down to 10⁻¹² of the first</figcaption></figure>
      <figure class="regimes"><svg data-pg="map" role="img"></svg>
        <figcaption data-pg="here"></figcaption></figure>
    </div>
    <table>
      <thead><tr><th scope="col">where it stands</th>
        <th scope="col">SGD</th><th scope="col">Momentum</th></tr></thead>
      <tbody>${Object.entries(READOUT).map(row).join("")}</tbody>
    </table>
    <p class="keys">space play · ← → step · home start · ↑ ↓ speed · 1–4 surface · esc leave</p>`;

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
