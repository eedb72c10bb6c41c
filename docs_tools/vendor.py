"""Fetch what the pages need in the browser, checked, so that the site asks nobody else.

python docs_tools/vendor.py

Formulas, contour lines and the accessibility checker come through npm: the SHA256 is of the
archive, and so of every file in it. Python itself, which the pages run, is Pyodide's release, with
16 MB. Where that cannot be reached, the site is built without Python, and says so.
"""

import hashlib
import http.client
import json
import re
import shutil
import subprocess
import tarfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
MADE = ROOT / "build" / "pages" / "docs"  # the Markdown that the site is built from
ASSETS = MADE / "assets"
PINS = {
    "katex": (  # formulas
        "0.19.1",
        "24da5a599eb2fcede2e270b99a6ff48bca816beecc95feeb84e8cccbd1bb34fd",
        r"LICENSE|dist/katex\.min\.(js|css)|dist/fonts/.*\.woff2",
        ASSETS / "katex",
    ),
    "d3-contour": (  # contour lines of the playground's surfaces
        "4.0.2",
        "fa347e237c259a987fc3cfd890e2fcb0f2ec42ed125a2c9363854509e86db8f4",
        r"LICENSE|dist/d3-contour\.min\.js",
        ASSETS / "d3-contour",
    ),
    "d3-array": (  # which it needs
        "3.2.4",
        "6dbf3f2be39e48f86775be6e166a5d3e5a585ca7144453cd6ad1912f5ae4417f",
        r"LICENSE|dist/d3-array\.min\.js",
        ASSETS / "d3-array",
    ),
    "prismjs": (  # the colors of code that is edited
        "1.30.0",
        "ac16a9106a28c53b6a6313993c816a3a02525fdfefd7614fc1703df915a9fc11",
        r"LICENSE|components/prism-(core|python)\.min\.js",
        ASSETS / "prism",
    ),
    "axe-core": (  # for the tests only: can everybody read the pages?
        "4.14.1",
        "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
        r"LICENSE|axe\.min\.js",
        ROOT / "build" / "axe",
    ),
}
RELEASE = "https://cdn.jsdelivr.net/pyodide/v314.0.3/full/"
RUNTIME = {
    "pyodide.mjs": "5cfc46f5dcbaf2a16f26e2363f441873eb424762609cc03db00d6a2ace4d00e5",
    "pyodide.asm.mjs": "1a9775427ef6e8abaa7db88ece0515422d1886915ae5c9093776410c865dfd8d",
    "pyodide.asm.wasm": "e7f8fac36f8bf11085309cbc5c829b3ec3057c18bf1d73b05a6741612d63cdbf",
    "python_stdlib.zip": "444c770dfd75a32097fc0a7d5c1413fd3140601f49c3a1f2e9af0376fcd124b4",
    "pyodide-lock.json": "c963d22858f6bcb8f41586a2142f03905ab370c88ea22a86a2736e95fac2a8f3",
    "numpy-2.4.3-cp314-cp314-pyemscripten_2026_0_wasm32.whl": (
        "0cad9c1b91f0082e4f959bc0e0bf5835a2efbba6ab3b1e9d1fe6e7e564cca98e"
    ),
}


def put(file, data):
    """Write a file unless it is so already: a server builds again when one has changed."""
    if not file.exists() or file.read_bytes() != data:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def check(name, data, expected):
    """Refuse what is not what was pinned."""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ValueError(
            f"{name} has the SHA256 {found}, but pinned is {expected}; "
            "if it lies in build/, delete it there and try again"
        )
    return data


def download(url):
    """Return the content of a URL."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(f"cannot read {url}: {error}") from error


def archive_of(name, version):
    """Return the archive of a package, from the folder of those that are here or through npm."""
    archive = ROOT / "build" / "npm" / f"{name}-{version}.tgz"
    if not archive.exists():
        npm = shutil.which("npm")  # it knows where this machine's packages come from
        if not npm:
            raise FileNotFoundError(f"{name} comes through npm, which is not installed")
        archive.parent.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", "--silent", f"{name}@{version}"]
        subprocess.run(command, cwd=archive.parent, check=True, stdout=subprocess.DEVNULL)
    return archive


def fetch(name):
    """Unpack the pinned version of a package."""
    version, expected, wanted, folder = PINS[name]
    archive = archive_of(name, version)
    try:
        check(archive.name, archive.read_bytes(), expected)
    except ValueError:
        archive.unlink()
        raise
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.removeprefix("package/")
            if re.fullmatch(wanted, path):
                put(folder / path.removeprefix("dist/"), tar.extractfile(member).read())
    return folder


# ── Python, for the browser ──────────────────────────────────────────────────────────────────────


def runtime():
    """Fetch Pyodide and NumPy for it; return their folder, or None without a connection to it."""
    kept, folder = ROOT / "build" / "pyodide", ASSETS / "pyodide"
    try:
        for name, expected in RUNTIME.items():
            if not (kept / name).exists():
                put(kept / name, check(name, download(RELEASE + name), expected))
    except ConnectionError as error:
        print(f"The pages have no Python, and the playground only precomputed paths: {error}")
        shutil.rmtree(folder, ignore_errors=True)
        return None
    for name, expected in RUNTIME.items():
        data = check(name, (kept / name).read_bytes(), expected)
        if name == "pyodide-lock.json":  # read at every start: all that the pages need is NumPy
            lock = json.loads(data)
            lock["packages"] = {"numpy": lock["packages"]["numpy"]}
            data = json.dumps(lock).encode()
        put(folder / name, data)
    return folder


if __name__ == "__main__":
    for package in PINS:
        print(fetch(package))
    print(runtime())
