// Exercises that answer: write, press Check, and see one line for each check. Answers and progress
// are kept in this browser.
(() => {
  const KEY = "exercises"; // by page: how many there are, and of each its answer, and if it is solved
  const element = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  function recall() {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return {}; // where nothing may be kept
    }
  }

  function keep(page, change) {
    try {
      const all = recall();
      all[page] = { ...all[page], ...change };
      localStorage.setItem(KEY, JSON.stringify(all));
    } catch {}
  }

  // ── Progress ──────────────────────────────────────────────────────────────────────────────────

  const page = location.pathname;
  const cells = [...document.querySelectorAll(".highlight.exercise")];
  const nameOf = (cell) => cell.dataset.exercise;
  const counted = element("p", { className: "progress", role: "status" });

  function showProgress() {
    const all = recall();
    const solved = cells.filter((it) => all[page]?.[nameOf(it)]?.solved).length;
    const text =
      cells.length === 1
        ? tr("{} of 1 exercise solved", solved)
        : tr("{} of {} exercises solved", solved, cells.length);
    const ariaLabel = tr("Exercises solved");
    counted.replaceChildren(element("progress", { max: cells.length || 1, value: solved, ariaLabel }), text);
    document.querySelectorAll(".solved-mark").forEach((it) => it.remove());
    // Links to exercises, and to chapters in lists of them.
    const links = 'article a[href*="#exercise-"], article td:first-child a[href], .md-nav--primary a.md-nav__link[href]';
    for (const link of document.querySelectorAll(links)) {
      const { pathname, hash } = new URL(link.href);
      const { total, ...answers } = all[pathname] ?? {};
      const names = hash.startsWith("#exercise-") ? [hash.replace("#exercise-", "")] : Object.keys(answers);
      const done = names.filter((name) => answers[name]?.solved).length;
      const isPart = hash && !hash.startsWith("#exercise-");
      if (!done || isPart) continue;
      const mark = hash || done === total ? "✓" : `${done}/${total}`;
      const title = hash ? tr("solved") : tr("{} of {} exercises solved", done, total);
      link.append(element("span", { className: "solved-mark", title }, ` ${mark}`));
    }
  }

  if (cells.length) {
    keep(page, { total: cells.length });
    document.querySelector("article h1")?.after(counted);
  }
  showProgress();

  // ── Answers ───────────────────────────────────────────────────────────────────────────────────

  function missing(cell) {
    if (location.protocol === "file:") return tr("Open this page over http to check an answer here.");
    if (cell.dataset.browser === "no") {
      return tr("This exercise needs packages that a browser does not have: write it on your machine.");
    }
    if (typeof live === "undefined") {
      return tr("This site was built without Python for the browser: write the answer on your machine.");
    }
  }

  function row({ says, holds, code, got, expected, error }) {
    const line = element("li", { className: holds ? "holds" : "" }, code ? element("code", {}, says) : tr(says));
    const list = element("dl", {});
    for (const [term, value] of [[tr("got"), got], [tr("expected"), expected], [tr("error"), error]]) {
      if (value !== undefined) list.append(element("dt", {}, term), element("dd", {}, element("code", {}, value)));
    }
    if (!holds) line.append(list);
    return line;
  }

  function show({ output }, { text, failed, checks, solved }) {
    const holding = checks.filter((it) => it.holds).length;
    let verdict = solved
      ? tr("Solved: all {} checks hold.", checks.length)
      : tr("{} of {} checks hold.", holding, checks.length);
    if (failed) verdict = tr("The answer did not run to its end:");
    const parts = [element("p", { className: "verdict-line" }, verdict)];
    if (text) parts.push(element("pre", {}, element("code", {}, text)));
    if (!failed) parts.push(element("ul", {}, ...checks.map(row)));
    output.replaceChildren(...parts);
  }

  function prepare(cell) {
    const name = nameOf(cell);
    const bytes = Uint8Array.from(atob(cell.dataset.checks), (it) => it.charCodeAt(0));
    const checks = new TextDecoder().decode(bytes);
    const stub = cell.querySelector("code").textContent.trimEnd();
    const kept = () => recall()[page]?.[name] ?? {};
    const save = (change) => keep(page, { [name]: { ...kept(), ...change } });
    const field = editor.make(tr("Your answer to {}", name), write, () => live.run(block));
    let written = kept().code ?? stub;
    const state = element("span", { className: "state" });
    const block = {
      fence: cell,
      label: tr("Check"),
      run: element("button", { type: "button", className: "check", title: tr("Ctrl+Enter in the editor") }, tr("Check")),
      output: element("div", { className: "output answer language-text", role: "status" }),
      get code() {
        return written;
      },
      async check() {
        const { code } = block;
        await python.call("live/session.py", "run", { page, block: 0, code: "" }); // which it imports
        const result = await python.call("exercise/exercise.py", "check", { page, code, checks });
        if (result.solved) save({ solved: true, code });
        return result;
      },
      show(...given) {
        show(...given);
        tell();
      },
    };

    function tell() {
      const { solved, code } = kept();
      state.textContent = solved ? tr("Solved ✓") : code ? tr("Kept in this browser") : "";
      showProgress();
    }
    function write(code) {
      written = code;
      save({ code: code === stub ? undefined : code });
      tell();
    }
    const again = element("button", { type: "button" }, tr("Start again"));
    again.onclick = () => {
      field.set(stub);
      write(stub);
      block.output.replaceChildren();
      field.focus();
    };
    block.run.onclick = () => live.stop(block) || live.run(block);
    live.answers.push(block);

    cell.querySelector("pre").hidden = true;
    cell.append(field);
    const tools = element("div", { className: "tools", role: "group", ariaLabel: name }, block.run, again, state);
    cell.after(tools, block.output);
    field.set(written);
    tell();

    // Hints in steps: the next one is there once the one before is open.
    const hints = [...(cell.closest(".admonition")?.querySelectorAll("details.tip") ?? [])];
    hints.forEach((hint, i) => {
      hint.hidden = i > 0;
      hint.addEventListener("toggle", () => {
        if (hint.open && hints[i + 1]) hints[i + 1].hidden = false;
      });
    });
  }

  for (const cell of cells) {
    const why = missing(cell);
    if (why) cell.after(element("p", { className: "needs" }, why));
    else prepare(cell);
  }
})();
