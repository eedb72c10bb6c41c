// An editor for a block of code: a textarea over its own text in colors.
//
//   editor.make(name, onchange, onrun)    an element with .value, which is shown by .hidden = false
window.Prism = { manual: true }; // it colors what it is asked to, and nothing else

const editor = (() => {
  // A new line starts as this one does, or further right; in a session, with a prompt.
  function newLine(field) {
    const line = field.value.slice(0, field.selectionStart).split("\n").at(-1);
    let [start, prompt] = line.match(/^(>>> |\.\.\. )? */);
    if (line.trimEnd().endsWith(":")) start = `${start.replace(">>>", "...")}    `;
    else if (!prompt && field.value.startsWith(">>>")) start = ">>> ";
    document.execCommand("insertText", false, `\n${start}`); // which can be undone
  }

  function make(name, onchange, onrun) {
    const box = document.createElement("div");
    const colors = document.createElement("div"); // the theme adds buttons to pre > code
    const field = document.createElement("textarea");
    box.className = "editor";
    colors.className = "colors";
    box.append(colors, field);
    colors.ariaHidden = "true";
    Object.assign(field, { ariaLabel: name, autocapitalize: "off", spellcheck: false, wrap: "off" });

    function draw() {
      field.rows = field.value.split("\n").length;
      colors.innerHTML = Prism.highlight(field.value, Prism.languages.python, "python");
    }
    field.oninput = () => {
      draw();
      onchange(field.value);
    };
    field.onscroll = () => (colors.scrollLeft = field.scrollLeft);
    field.onkeydown = (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) onrun();
      else newLine(field);
    };
    box.set = (code) => {
      field.value = code;
      draw();
    };
    box.focus = () => field.focus();
    return box;
  }

  return { make };
})();
