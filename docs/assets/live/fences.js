// Run, change and reset the code on a page. Python is loaded when code is first run.
const live = (() => {
  if (location.protocol === "file:") return; // no worker can start from there
  const page = location.pathname;
  let running; // the block whose Run was pressed

  const element = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const note = (text) => element("p", {}, text);

  // As docs_tools/fences.py does, draw an image for light pages and one for dark.
  const images = (svg) =>
    [["light", "not all"], ["dark", "all"]].map(([theme, when]) => {
      const picture = svg.replace("@media(prefers-color-scheme:dark)", `@media ${when}`);
      const src = `data:image/svg+xml,${encodeURIComponent(picture)}#only-${theme}`;
      return element("img", { src, alt: "What the code has drawn" });
    });

  function show(block, { text, drawings }) {
    const shown = drawings.flatMap((it) => (it.startsWith("<figure") ? backwardPass(it) : images(it)));
    if (text) shown.unshift(element("pre", {}, element("code", {}, text)));
    block.output.replaceChildren(...(shown.length ? shown : [note("Done, with nothing to show.")]));
  }

  // ── Running ───────────────────────────────────────────────────────────────────────────────────

  function setRunning(block) {
    running = block;
    for (const other of [...blocks, ...answers]) {
      other.run.textContent = other === block ? "Stop" : other.label ?? "Run";
      other.run.disabled = block && other !== block;
    }
  }

  // The blocks above come first, where their code as it now stands has not run. They are quiet
  // unless they fail; some do so on purpose, and the page goes on.
  async function run(block) {
    if (running) return;
    setRunning(block);
    const say = (text) => block.output.replaceChildren(note(text));
    let failure = "Python could not be loaded";
    try {
      say("Loading Python, 16 MB …");
      await python.start();
      failure = "Python has failed";
      const isAbove = ({ fence }) => fence.compareDocumentPosition(block.fence) & 4; // it follows
      const above = blocks.filter((it) => isAbove(it) && it.ran !== it.code);
      for (const it of [...above, block]) {
        say(it === block ? "Running …" : `Running block ${it.number}, above …`);
        const given = { page, block: it.number, code: it.code };
        const result = await (it.check?.() ?? python.call("live/session.py", "run", given));
        it.ran = given.code;
        if (it === block || result.failed) (it.show ?? show)(it, result);
      }
    } catch (error) {
      python.stop();
      for (const it of blocks) it.ran = undefined; // the names are gone
      const stopped = error.message === "stopped";
      say(stopped ? "Stopped. The next run starts anew." : `${failure}: ${error.message}`);
    }
    setRunning(undefined);
  }

  // ── Changing ──────────────────────────────────────────────────────────────────────────────────

  function change(block, code) {
    block.code = code;
    block.editor.rows = code.split("\n").length;
  }

  function setEditing(block, editing) {
    block.fence.querySelector("pre").hidden = block.edit.hidden = editing;
    block.editor.hidden = block.reset.hidden = !editing;
    block.editor.value = block.code;
    (editing ? block.editor : block.edit).focus();
  }

  function reset(block) {
    change(block, block.original);
    block.output.replaceChildren();
    setEditing(block, false);
  }

  function press(event, block) {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) return run(block);
    // A new line starts as this one does, or further right; in a session, with a prompt.
    const line = block.code.slice(0, event.target.selectionStart).split("\n").at(-1);
    let [start, prompt] = line.match(/^(>>> |\.\.\. )? */);
    if (line.trimEnd().endsWith(":")) start = `${start.replace(">>>", "...")}    `;
    else if (!prompt && block.code.startsWith(">>>")) start = ">>> ";
    document.execCommand("insertText", false, `\n${start}`); // which can be undone
  }

  const blocks = [...document.querySelectorAll(".highlight.run")].map((fence, index) => {
    const original = fence.querySelector("code").textContent.trimEnd();
    const block = { fence, number: index + 1, original, ran: undefined };
    const ariaLabel = `Block ${block.number}`;
    const button = (label, onclick, hidden) =>
      element("button", { type: "button", onclick, hidden }, label);
    block.run = button("Run", () => (running === block ? python.stop() : run(block)));
    block.edit = button("Edit", () => setEditing(block, true));
    block.reset = button("Reset", () => reset(block), true);
    block.run.title = "Ctrl+Enter in the editor";
    const field = { hidden: true, spellcheck: false, autocapitalize: "off", wrap: "off" };
    block.editor = element("textarea", { ariaLabel: `${ariaLabel}: its code`, ...field });
    block.editor.oninput = () => change(block, block.editor.value);
    block.editor.onkeydown = (event) => press(event, block);
    block.output = element("div", { className: "output language-text", role: "status" });
    const buttons = [block.run, block.edit, block.reset];
    fence.append(block.editor);
    fence.after(element("div", { className: "tools", role: "group", ariaLabel }, ...buttons));
    fence.nextSibling.after(block.output);
    change(block, original);
    return block;
  });
  const answers = []; // to exercises: they are checked after the blocks above, and are not run
  return { page, run, press, answers, stop: (block) => running === block && python.stop() };
})();
