"""Python for the browser, under Node: what the pages run gives what they show."""

import re
import shutil
import subprocess
from pathlib import Path

from chromium import ROOT, require

NODE = shutil.which("node")
require({"Node": NODE, "Pyodide": (ROOT / "build/pages/docs/assets/pyodide/pyodide.mjs").exists()})
HERE = Path(__file__).parent / "node"


def test_the_package_and_the_chapters_run_in_python_for_the_browser():
    command = [NODE, HERE / "pyodide.mjs", ROOT, HERE / "check.py"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.search(r"(\d+) examples .*, (\d+) blocks .*: 0 failures", done.stdout)
    assert all(int(count) > 100 for count in counts.groups()), done.stdout
