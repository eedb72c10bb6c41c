"""Run a script cell by cell, and keep what each cell printed and drew.

python examples/cells.py examples/momentum/rolling_ball.py FOLDER [--seed 300]

The folder receives the figures, the verdicts, and cells.json with the text, the code and the
output, from which a page can be made.
"""

import contextlib
import io
import json
import re
import sys
import time
from pathlib import Path

import evidence


def split(source):
    """Split a script at its lines `# %%`: kind, name, the first line's number and text of each.

    >>> split("# %% why [markdown]\\n# It *is* so.\\n# %% plot\\nx = 1\\n")
    [('markdown', 'why', 1, 'It *is* so.'), ('code', 'plot', 3, 'x = 1')]
    """
    cells = []
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("# %%"):
            name, markdown, _ = line.removeprefix("# %%").partition("[markdown]")
            cells.append(("markdown" if markdown else "code", name.strip(), number, []))
        elif cells:
            cells[-1][3].append(line)
        elif line.strip():
            raise ValueError(f"line {number} stands before the first cell: start with # %%")
    return [
        (kind, name, number, "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines))
        if kind == "markdown"
        else (kind, name, number, "\n".join(lines).strip("\n"))
        for kind, name, number, lines in cells
    ]


def run(script, folder, settings=()):
    """Run all the cells in one namespace, as Python would run the script, and record them."""
    evidence.FOLDER = folder
    namespace, record, known = {"__name__": "__main__", "__file__": str(script)}, [], set()
    sys.argv, begun = [str(script), *settings], time.perf_counter()
    for kind, name, number, text in split(script.read_text(encoding="utf-8")):
        printed = io.StringIO()
        if kind == "code":
            # Empty lines before the code, so that an error names the line of the script.
            code = compile("\n" * number + text, str(script), "exec")
            with contextlib.redirect_stdout(printed):
                exec(code, namespace)
        drawn = {file.name for file in folder.iterdir() if file.suffix in {".svg", ".gif"}} - known
        known |= drawn
        figures = sorted(file for file in drawn if not re.search("-(dark|narrow)", file))
        output = printed.getvalue()
        cell = {"kind": kind, "name": name, "line": number, "text": text}
        record.append(cell | {"output": output, "figures": figures})
    seconds = round(time.perf_counter() - begun)
    text = json.dumps({"seconds": seconds, "cells": record}, ensure_ascii=False, indent=1)
    (folder / "cells.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute(), sys.argv[3:])
