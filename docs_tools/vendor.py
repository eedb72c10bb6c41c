"""Fetch what the pages need in the browser from npm, checked, so that the site asks nobody else.

python docs_tools/vendor.py

The SHA256 is of the archive, and so of every file in it.
"""

import hashlib
import re
import shutil
import subprocess
import tarfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINS = {
    "katex": (  # formulas
        "0.19.1",
        "24da5a599eb2fcede2e270b99a6ff48bca816beecc95feeb84e8cccbd1bb34fd",
        r"LICENSE|dist/katex\.min\.(js|css)|dist/fonts/.*\.woff2",
        ROOT / "docs" / "assets" / "katex",
    ),
    "axe-core": (  # for the tests only: can everybody read the pages?
        "4.14.1",
        "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
        r"LICENSE|axe\.min\.js",
        ROOT / "build" / "axe",
    ),
}


def put(file, data):
    """Write a file unless it is so already: `mkdocs serve` builds again when one has changed."""
    if not file.exists() or file.read_bytes() != data:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def fetch(name):
    """Unpack the pinned version of a package, from the archive that is here or from npm."""
    version, expected, wanted, folder = PINS[name]
    archive = ROOT / "build" / "npm" / f"{name}-{version}.tgz"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        if shutil.which("npm"):  # it knows this machine's mirror
            command = ["npm", "pack", "--silent", f"{name}@{version}"]
            subprocess.run(command, cwd=archive.parent, check=True, stdout=subprocess.DEVNULL)
        else:
            url = f"https://registry.npmjs.org/{name}/-/{archive.name}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                archive.write_bytes(answer.read())
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != expected:
        archive.unlink()
        raise ValueError(f"{archive.name} has the SHA256 {found}, but pinned is {expected}")
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.removeprefix("package/")
            if re.fullmatch(wanted, path):
                put(folder / path.removeprefix("dist/"), tar.extractfile(member).read())
    return folder


if __name__ == "__main__":
    for package in PINS:
        print(fetch(package))
