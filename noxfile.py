"""The tests on every supported Python, with the oldest and the newest NumPy, on what users install.

nox             # every interpreter that is at hand
nox -s wheel-3.13
"""

import shutil
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
ROOT = Path(__file__).parent


def test(session: nox.Session, package: Path, *requirements: str) -> None:
    """Install a built package where the checkout cannot be seen, and run its tests."""
    session.install(f"{package}[test]", *requirements)
    folder = Path(session.create_tmp())
    shutil.rmtree(folder / "tests", ignore_errors=True)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, folder)
    session.chdir(folder)
    where = "import tinygrad_edu as t; assert 'site-packages' in t.__file__; print(t.__file__)"
    session.run("python", "-c", where)
    session.run("python", "-m", "tinygrad_edu", "--epochs", "1", silent=True)
    session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")


def build(session: nox.Session, *options: str) -> Path:
    """Build the package in a folder of the session."""
    folder = Path(session.create_tmp()).absolute() / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", *options, "--outdir", str(folder), str(ROOT), silent=True)
    (package,) = folder.iterdir()
    return package


@nox.session(python=PYTHONS)
def wheel(session: nox.Session) -> None:
    """Test the wheel with the newest NumPy."""
    test(session, build(session, "--wheel"))


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """Test the wheel with the oldest versions that the metadata allow."""
    oldest_versions = ["numpy==2.0.0", "pytest==8.2.0", "hypothesis==6.100.0", "pooch==1.8.0"]
    test(
        session,
        build(session, "--wheel"),
        *oldest_versions,
        "tqdm==4.66.0",
        "matplotlib==3.9.0",
        "scipy==1.13.0",
        "pyparsing<3.3",  # it deprecates names that this Matplotlib uses
    )


@nox.session(python="3.11")
def sdist(session: nox.Session) -> None:
    """Test the source distribution."""
    test(session, build(session, "--sdist"))
