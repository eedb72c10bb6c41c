"""Run a script cell by cell, and keep what each cell printed and drew.

python examples/cells.py examples/momentum/rolling_ball.py FOLDER

The folder receives the figures, the verdicts, and cells.json with the text, the code and the
output, from which a page can be made.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

import evidence


def split(source):
    """Split a script at its lines `# %%`: the kind, the first line's number and the text of each.

    >>> split("# %% [markdown]\\n# # Title\\n# %%\\nx = 1\\n")
    [('markdown', 1, '# Title'), ('code', 3, 'x = 1')]
    """
    cells = []
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("# %%"):
            cells.append(("markdown" if "[markdown]" in line else "code", number, []))
        elif cells:
            cells[-1][2].append(line)
        elif line.strip():
            raise ValueError(f"line {number} stands before the first cell: start with # %%")
    return [
        (kind, number, "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines))
        if kind == "markdown"
        else (kind, number, "\n".join(lines).strip("\n"))
        for kind, number, lines in cells
    ]


def run(script, folder):
    """Run all the cells in one namespace, as Python would run the script, and record them."""
    evidence.FOLDER = folder
    namespace, record, known = {"__name__": "__main__", "__file__": str(script)}, [], set()
    sys.argv = [str(script)]
    for kind, number, text in split(script.read_text(encoding="utf-8")):
        printed = io.StringIO()
        if kind == "code":
            # Empty lines before the code, so that an error names the line of the script.
            code = compile("\n" * number + text, str(script), "exec")
            with contextlib.redirect_stdout(printed):
                exec(code, namespace)
        drawn = {file.name for file in folder.iterdir() if file.suffix in {".svg", ".gif"}} - known
        known |= drawn
        figures = sorted(name for name in drawn if "-dark." not in name)
        output = printed.getvalue()
        record.append({"kind": kind, "text": text, "output": output, "figures": figures})
    text = json.dumps(record, ensure_ascii=False, indent=1)
    (folder / "cells.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute())
