// A bet before the figure: the reader guesses what was measured. It is kept in this browser only.
(() => {
  const KEY = "tinygrad_edu bets";
  const outcome = document.getElementById("outcome");
  const box = document.querySelector(".bet");
  if (!box) return;
  const { page } = box.dataset;
  const { question, told, symbol, unit, answer, slider, options } = JSON.parse(box.dataset.bet);
  const digits = slider ? (String(slider[2]).split(".")[1] ?? "").length : 0;
  const number = (value) => `${value.toFixed(digits).replace("-", "−")}${unit}`;
  const words = (value) => (slider ? `${symbol}${number(value)}` : options[value]);

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }
  function read() {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return {}; // storage is refused, or holds something else
    }
  }
  function keep(guess) {
    try {
      localStorage.setItem(KEY, JSON.stringify({ ...read(), [page]: guess }));
    } catch {} // a private window
  }
  function hide(hidden) {
    outcome.classList.toggle("waiting", hidden);
    outcome.inert = hidden;
  }
  const head = (text) => [
    element("p", { className: "eyebrow" }, text),
    element("p", { className: "question" }, question),
  ];

  // ── Before the bet ─────────────────────────────────────────────────────────────────────────────

  function slide(choose) {
    const [low, high, step] = slider;
    const value = (low + high) / 2;
    const input = element("input", { type: "range", min: low, max: high, step, value });
    const output = element("output", {}, tr("drag, or use the arrow keys"));
    input.ariaLabel = question;
    input.oninput = () => {
      choose(input.valueAsNumber);
      output.textContent = words(input.valueAsNumber);
      input.setAttribute("aria-valuetext", words(input.valueAsNumber));
    };
    const ends = [low, high].map((end) => element("span", {}, number(end)));
    return [element("div", { className: "scale" }, ends[0], input, ends[1]), output];
  }

  function offer(choose) {
    const labels = options.map((option, value) => {
      const radio = element("input", { type: "radio", name: "bet", onchange: () => choose(value) });
      return element("label", {}, radio, element("span", {}, option));
    });
    const legend = element("legend", {}, question);
    return [element("fieldset", { className: "options" }, legend, ...labels)];
  }

  function ask() {
    hide(true);
    let guess;
    const place = element("button", { className: "md-button", disabled: true }, tr("Place the bet"));
    const skip = element("button", { type: "button", className: "plain" }, tr("Show me the answer"));
    const choose = (value) => ([guess, place.disabled] = [value, false]);
    const actions = element("div", { className: "actions" }, place, skip);
    const form = element("form", {}, ...(slider ? slide(choose) : offer(choose)), actions);
    skip.onclick = () => settle(null, true);
    form.onsubmit = (event) => {
      event.preventDefault();
      keep(guess);
      settle(guess, true);
    };
    box.replaceChildren(...head(tr("Your bet")), form);
  }

  // ── After it ───────────────────────────────────────────────────────────────────────────────────

  function scale(guess) {
    const [low, high] = slider;
    const marks = { measured: answer, ...(guess === null ? {} : { you: guess }) };
    const names = { measured: tr("measured"), you: tr("you") };
    const drawn = Object.entries(marks).map(([name, value]) => {
      const mark = element("span", { className: `mark ${name}` }, element("span", {}, names[name]));
      mark.style.left = `${(100 * (value - low)) / (high - low)}%`;
      mark.classList.toggle("left", value > (low + high) / 2);
      return mark;
    });
    return element("div", { className: "track", ariaHidden: true }, ...drawn);
  }

  function settle(guess, fresh = false) {
    hide(false);
    const near = slider ? Math.abs(guess - answer) <= (slider[1] - slider[0]) / 20 : guess === answer;
    const said = guess === null ? "" : near ? tr("Well bet: {}. ", words(guess)) : tr("You said {}. ", words(guess));
    const line = element("p", { className: "settled", tabIndex: -1 });
    const [before, after] = tr("It is {answer}. ").split("{answer}");
    line.append(said, before, element("strong", {}, words(answer)), `${after}${told}`);
    const again = element("button", { type: "button", className: "plain" }, tr("Bet again"));
    again.onclick = () => {
      keep(undefined);
      ask();
    };
    const drawn = slider ? [scale(guess)] : [];
    box.replaceChildren(...head(guess === null ? tr("Without a bet") : tr("Your bet")), ...drawn, line, again);
    if (fresh) line.focus({ preventScroll: true });
  }

  // A link into what is hidden, from the ledger or the table of contents, asks for it.
  function linked() {
    const name = decodeURIComponent(location.hash.slice(1));
    const target = name && document.getElementById(name);
    return target && outcome.contains(target) ? target : null;
  }
  addEventListener("hashchange", () => {
    if (!outcome.inert || !linked()) return;
    settle(null);
    linked().scrollIntoView();
  });
  const valid = (guess) =>
    slider ? typeof guess === "number" && guess >= slider[0] && guess <= slider[1] : guess in options;
  const before = read()[page];
  box.hidden = false;
  if (valid(before)) settle(before);
  else if (linked()) settle(null);
  else ask();
})();
