"""Take NumPy for the browser out of Open WebUI, an unrelated application that carries it along.

python .ci/pyodide_from_registries.py

Sites are built with Pyodide's own release (docs_tools/vendor.py). Where only package registries can
be reached, the same files come through npm and pip, from wherever these are configured to look. The
SHA256 of each file must be the pinned one. They go into build/pyodide/, where vendor.py finds them.
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "docs_tools"))
from vendor import ROOT, RUNTIME, archive_of, check, put

KEPT = ROOT / "build" / "pyodide"
LOADER = ("pyodide", "314.0.3")  # on npm: all but NumPy
APPLICATION = "open-webui==0.12.4"  # on PyPI: has the wheel of NumPy among its files


def files():
    """Yield the name and the content of each file of the runtime."""
    with tarfile.open(archive_of(*LOADER)) as tar:
        for name in RUNTIME:
            if not name.endswith(".whl"):
                yield name, tar.extractfile(f"package/{name}").read()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        # It is only unpacked, so it need not fit this Python.
        command += ["--only-binary=:all:", "--python-version=3.12", "--dest", folder, APPLICATION]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).iterdir()
        with zipfile.ZipFile(wheel) as archive:
            for path in archive.namelist():
                name = path.rpartition("/")[2]
                if name in RUNTIME and name.endswith(".whl"):
                    yield name, archive.read(path)


if __name__ == "__main__":
    if not all((KEPT / name).exists() for name in RUNTIME):
        for name, data in files():
            put(KEPT / name, check(name, data, RUNTIME[name]))
    missing = [name for name in RUNTIME if not (KEPT / name).exists()]
    sys.exit(f"not found: {', '.join(missing)}" if missing else 0)
