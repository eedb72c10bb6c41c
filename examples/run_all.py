"""Run all the examples, and print the ledger: claim, the slide's number, ours, the verdict.

python examples/run_all.py                           # all of them, as they are
python examples/run_all.py --width 32 sharpness      # one, with another setting
python examples/run_all.py --robust                  # with each setting of the robustness strips

robustness.json keeps the verdicts of the last `--robust`, and its date. Every run ends with an
error if an example fails, or if a verdict is not in its strip: as they are, it must be the very
one; with another setting, one of those that the strip names. Verdicts about time are reported only.
What has not changed since it last ran is not run again.
"""

import argparse
import collections
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path

import evidence
import tqdm

import tinygrad_edu as tg

HERE = Path(__file__).parent
GROUPS = ["batch", "momentum", "critical_points", "beyond"]  # in the order of the notes
COLUMNS = ["claim", "statement", "slide", "measured", "verdict", "share", "conditions", "caveat"]


STRIPS = HERE / "robustness.json"


def fingerprint(script):
    """Hash what a result depends on: the script, data beside it, the package, the libraries."""
    package = Path(tg.__file__).parent
    files = [script, *(HERE / f"{name}.py" for name in ("cells", "evidence", "rules"))]
    files += script.parent.glob("*.json")
    files += [file for file in package.iterdir() if file.suffix in {".py", ".npz"}]
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    for library in ("numpy", "scipy", "matplotlib"):
        total.update(f"{library} {version(library)}".encode())
    return total.hexdigest()


def run(script, folder, setting=None):
    """Run a script in a process of its own, unless its result is there; return what went wrong."""
    options = [
        word for name, value in (setting or {}).items() for word in (f"--{name}", f"{value}")
    ]
    key, key_file = " ".join([fingerprint(script), *options]), folder / "fingerprint"
    if key_file.exists() and key_file.read_text() == key:
        return ""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, str(HERE / "cells.py"), str(script), str(folder), *options]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        command, env=os.environ | threads, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        return done.stderr
    key_file.write_text(key)
    return ""


def scripts():
    """List the examples in the order of the notes."""
    return [script for group in GROUPS for script in sorted((HERE / group).glob("*.py"))]


def run_scripts(output, jobs=None, runs=None):
    """Run what has changed; return each script's folder, and what went wrong.

    `runs` has scripts with their settings: else all the examples as they are.
    """
    runs = runs or [(script, {}) for script in scripts()]
    failures = []
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        pending = {
            pool.submit(run, script, folder_of(output, script, setting), setting): script
            for script, setting in runs
        }
        for done in tqdm.tqdm(as_completed(pending), total=len(runs), desc="examples", unit=""):
            if error := done.result():
                failures.append(f"{pending[done].relative_to(HERE)} failed:\n{error}")
                tqdm.tqdm.write(failures[-1])
    return {script: output / script.stem for script, _ in runs}, failures


def folder_of(output, script, setting):
    """Name the folder of a run: build/examples/sharpness, or build/examples/sharpness--width-32."""
    return output / "".join([script.stem, *(f"--{name}-{setting[name]}" for name in setting)])


# ── Robustness strips ────────────────────────────────────────────────────────────────────────────


def strip_of(folder):
    """List the settings of a script's strip, from what its run kept: as it is, then each change."""
    file = folder / "settings.json"
    choices = json.loads(file.read_text(encoding="utf-8"))["choices"] if file.exists() else {}
    return [{}, *({name: value} for name, values in choices.items() for value in values[1:])]


def read_strips():
    """Read what `--robust` found last: each script's settings, and the verdicts with each."""
    return json.loads(STRIPS.read_text(encoding="utf-8"))["strips"] if STRIPS.exists() else {}


def verdicts(folder):
    """Read the verdicts of a run, claim by claim."""
    return {claim["claim"]: claim["verdict"] for claim in read_claims([folder])}


def robust(chosen, output, jobs):
    """Run scripts with each setting of their strips, keep the verdicts, and say what went wrong."""
    _, failures = run_scripts(output, jobs, [(script, {}) for script in chosen])
    runs = [(it, setting) for it in chosen for setting in strip_of(folder_of(output, it, {}))]
    failures = failures or run_scripts(output, jobs, runs)[1]
    if failures:
        return failures
    strips = read_strips()
    for script in chosen:
        strips[script.stem] = [
            {"setting": setting, "verdicts": verdicts(folder_of(output, script, setting))}
            for it, setting in runs
            if it == script
        ]
    strips = {script.stem: strips[script.stem] for script in scripts() if script.stem in strips}
    kept = {"date": datetime.date.today().isoformat(), "strips": strips}
    STRIPS.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return []


def drawn(number, day):
    """Draw settings of the strips, others every day, so that in the end all are run again."""
    stems = {script.stem: script for script in scripts()}
    rows = [(stems[stem], row["setting"]) for stem, strip in read_strips().items() for row in strip]
    rows = [row for row in rows if row[1]]
    return [rows[(day * number + place) % len(rows)] for place in range(number if rows else 0)]


def order(claim):
    """Sort claims as the notes do: 2, 16, 16b, 27, …, and what is beyond them, D1, …, last.

    >>> sorted(["D1", "16b", "2", "16"], key=order)
    ['2', '16', '16b', 'D1']
    """
    beyond, number, suffix = re.fullmatch(r"(D?)(\d+)(.*)", claim).groups()
    return beyond, int(number), suffix


def read_record(file):
    """Read a record, and put the numbers into its texts."""
    record = json.loads(file.read_text(encoding="utf-8"))
    numbers = record["numbers"]
    return record | {
        key: text.format(*numbers.get(key, ())) for key, text in record["texts"].items()
    }


def read_claims(folders):
    """Collect the verdicts that the examples left in their folders."""
    claims = [
        read_record(file) | {"example": folder.name}
        for folder in folders
        for file in folder.glob("claim-*.json")
    ]
    return sorted(claims, key=lambda claim: order(claim["claim"]))


def differences(claims, strips, script, setting):
    """List the verdicts of a run that its strip does not have."""
    rows = strips.get(script.stem, [])
    rows = rows if setting else rows[:1]
    allowed = collections.defaultdict(set)
    for row in rows:
        for name, verdict in row["verdicts"].items():
            allowed[name].add(verdict)
    found = {claim["claim"]: claim for claim in claims}
    problems = [f"claim {name} was not judged" for name in allowed if name not in found]
    told = "".join(f" with {name} = {value}" for name, value in setting.items())
    problems += [
        f"claim {name}{told}: {claim['verdict']}, but expected was "
        f"{' or '.join(sorted(allowed[name])) or 'no such claim'}"
        for name, claim in found.items()
        if claim["verdict"] not in allowed[name] and not claim["timing"]
    ]
    return problems


def markdown(claims):
    """Write the ledger as a table."""
    rows = [[claim[column].replace("|", "\\|") for column in COLUMNS] for claim in claims]
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def count(claims):
    """Count the verdicts; definitions, which can't fail to hold, apart."""
    verdicts = collections.Counter(claim["verdict"] for claim in claims)
    definitions = verdicts.pop("definition", 0)
    told = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common())
    return f"{verdicts.total()} claims judged: {told}. {definitions} definitions shown."


def show(claims):
    """Print the ledger."""
    for claim in claims:
        share = f" ({claim['share']})" if claim["share"] else ""
        print(f"\n{claim['claim']:>4}  {claim['verdict'].upper()}{share}  {claim['statement']}")
        for column in ("slide", "measured", "conditions", "caveat"):
            text = textwrap.fill(claim[column], 100, subsequent_indent=" " * 16)
            print(f"{column:>14}  {text}" if text else "", end="\n" if text else "")
    print(f"\n{count(claims)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", nargs="*", help="names of examples; all, if none is given")
    parser.add_argument("--output", type=Path, default=HERE.parent / "build" / "examples")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    parser.add_argument("--robust", action="store_true", help="write robustness.json")
    parser.add_argument(
        "--draw", type=int, default=0, help="run so many settings of the strips, too"
    )
    for name, meaning in evidence.SETTINGS.items():
        parser.add_argument(f"--{name}", help=meaning)
    given = parser.parse_args()
    output = given.output.absolute()
    unknown = set(given.script) - {script.stem for script in scripts()}
    if unknown:
        parser.error(f"there is no example called {', '.join(sorted(unknown))}")
    chosen = [it for it in scripts() if not given.script or it.stem in given.script]
    if given.robust:
        sys.exit("\n".join(robust(chosen, output, given.jobs)) or None)
    options = {name: value for name in evidence.SETTINGS if (value := getattr(given, name))}
    runs = [(script, options) for script in chosen]
    runs += drawn(given.draw, datetime.date.today().toordinal())
    _, failures = run_scripts(output, given.jobs, runs)
    problems = []
    for script, setting in [] if failures else runs:
        claims = read_claims([folder_of(output, script, setting)])
        problems += differences(claims, read_strips(), script, setting)
    claims = read_claims(folder_of(output, script, options) for script in chosen)
    show(claims)
    if not options and not given.script:
        ledger = json.dumps(claims, ensure_ascii=False, indent=1) + "\n"
        (output / "ledger.json").write_text(ledger, encoding="utf-8")
        (output / "ledger.md").write_text(markdown(claims), encoding="utf-8")
        print(f"Written: {output / 'ledger.json'}, {output / 'ledger.md'}")
        names = collections.Counter(claim["claim"] for claim in claims)
        problems += [f"claim {name} was judged {n} times" for name, n in names.items() if n > 1]
    print("\n".join(problems))
    sys.exit(bool(failures or problems))


if __name__ == "__main__":
    main()
