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
      return element("img", { src, alt: tr("What the code has drawn") });
    });

  function show(block, { text, drawings }) {
    const shown = drawings.flatMap((it) => (it.startsWith("<figure") ? backwardPass(it) : images(it)));
    if (text) shown.unshift(element("pre", {}, element("code", {}, text)));
    block.output.replaceChildren(...(shown.length ? shown : [note(tr("Done, with nothing to show."))]));
  }

  // ── Running ───────────────────────────────────────────────────────────────────────────────────

  function setRunning(block) {
    running = block;
    for (const other of [...blocks, ...answers]) {
      other.run.textContent = other === block ? tr("Stop") : other.label ?? tr("Run");
      other.run.disabled = block && other !== block;
    }
  }

  // Show what is printed while it is printed.
  function listen(block) {
    const code = element("code", {});
    return (part) => {
      if (!code.isConnected) block.output.replaceChildren(element("pre", {}, code));
      code.append(part);
    };
  }

  // The blocks above come first, where their code as it now stands has not run. They are quiet
  // unless they fail; some do so on purpose, and the page goes on. What was stopped, such as an
  // endless loop, does not run again unasked.
  async function run(block) {
    if (running) return;
    setRunning(block);
    const say = (text) => block.output.replaceChildren(note(text));
    const isAbove = ({ fence }) => fence.compareDocumentPosition(block.fence) & 4; // it follows
    const above = blocks.filter((it) => isAbove(it) && it.ran !== it.code);
    const left = above.filter((it) => it.stopped === it.code);
    let now; // the block whose code runs
    let failure = tr("Python could not be loaded");
    try {
      say(tr("Loading Python, 16 MB …"));
      await python.start();
      failure = tr("Python has failed");
      for (const it of [...above.filter((it) => !left.includes(it)), block]) {
        now = it;
        say(it === block ? tr("Running …") : tr("Running block {}, above …", it.number));
        const given = { page, block: it.number, code: it.code };
        const hear = it === block ? listen(block) : undefined;
        const result = await (it.check?.() ?? python.call("live/session.py", "run", given, hear));
        [it.ran, it.stopped] = [given.code, undefined];
        if (it === block || result.failed) (it.show ?? show)(it, result);
      }
      for (const { number } of left) {
        block.output.append(note(tr("Block {} was stopped, and did not run again.", number)));
      }
    } catch (error) {
      python.stop();
      for (const it of blocks) it.ran = undefined; // the names are gone
      const stopped = error.message === "stopped";
      if (stopped && now) now.stopped = now.code;
      const printed = stopped ? [...block.output.querySelectorAll("pre")] : [];
      say(stopped ? tr("Stopped. The next run starts anew.") : `${failure}: ${error.message}`);
      block.output.prepend(...printed);
    }
    setRunning(undefined);
  }

  // ── Changing ──────────────────────────────────────────────────────────────────────────────────

  // What was changed is kept in this browser, as long as the page's own code stays the same.
  const keyOf = (block) => `code ${page} ${block.number}`;
  function keep(block) {
    try {
      if (block.code === block.original) localStorage.removeItem(keyOf(block));
      else localStorage.setItem(keyOf(block), JSON.stringify([block.original, block.code]));
    } catch {} // where nothing may be kept
  }

  function recall(block) {
    try {
      const [original, code] = JSON.parse(localStorage.getItem(keyOf(block))) ?? [];
      return original === block.original ? code : undefined;
    } catch {}
  }

  function change(block, code) {
    block.code = code;
    keep(block);
  }

  function setEditing(block, editing) {
    block.fence.querySelector("pre").hidden = block.edit.hidden = editing;
    block.editor.hidden = block.reset.hidden = !editing;
    block.editor.set(block.code);
  }

  function edit(block) {
    setEditing(block, true);
    block.editor.focus();
  }

  function reset(block) {
    change(block, block.original);
    block.output.replaceChildren();
    setEditing(block, false);
    block.edit.focus();
  }

  const blocks = [...document.querySelectorAll(".highlight.run")].map((fence, index) => {
    const code = fence.querySelector("code").textContent.trimEnd();
    const block = { fence, number: index + 1, original: code, code };
    const ariaLabel = tr("Block {}", block.number);
    const button = (label, onclick, hidden) =>
      element("button", { type: "button", onclick, hidden }, label);
    block.run = button(tr("Run"), () => (running === block ? python.stop() : run(block)));
    block.edit = button(tr("Edit"), () => edit(block));
    block.reset = button(tr("Reset"), () => reset(block), true);
    block.run.title = tr("Ctrl+Enter in the editor");
    const changed = (code) => change(block, code);
    block.editor = editor.make(tr("Block {}: its code", block.number), changed, () => run(block));
    block.editor.hidden = true;
    block.output = element("div", { className: "output language-text", role: "status" });
    const buttons = [block.run, block.edit, block.reset, element("span", {}, ariaLabel)];
    fence.append(block.editor);
    const tools = element("div", { className: "tools", role: "group", ariaLabel }, ...buttons);
    fence.after(tools, block.output);
    const changedBefore = recall(block);
    if (changedBefore !== undefined) {
      block.code = changedBefore;
      setEditing(block, true);
    }
    return block;
  });
  const answers = []; // to exercises: they are checked after the blocks above, and are not run
  return { page, run, answers, stop: (block) => running === block && python.stop() };
})();
