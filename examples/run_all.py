"""Run all the examples, and print the ledger: claim, the slide's number, ours, the verdict.

python examples/run_all.py --help

It ends with an error if an example fails, or if a verdict is not the one in expected.json. Verdicts
about time are reported only. What has not changed since it last ran is not run again.
"""

import argparse
import collections
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

import tqdm

import tinygrad_edu as tg

HERE = Path(__file__).parent
GROUPS = ["batch", "momentum", "critical_points", "beyond"]  # in the order of the notes
COLUMNS = ["claim", "statement", "slide", "measured", "verdict", "share", "conditions", "caveat"]


def fingerprint(script):
    """Hash what a result depends on: the script, data beside it, the package, the libraries."""
    package = Path(tg.__file__).parent
    files = [script, HERE / "cells.py", HERE / "evidence.py", *script.parent.glob("*.json")]
    files += [file for file in package.iterdir() if file.suffix in {".py", ".npz"}]
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    for library in ("numpy", "scipy", "matplotlib"):
        total.update(f"{library} {version(library)}".encode())
    return total.hexdigest()


def run(script, folder):
    """Run a script in a process of its own, unless its result is there; return what went wrong."""
    key, key_file = fingerprint(script), folder / "fingerprint"
    if key_file.exists() and key_file.read_text() == key:
        return ""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, str(HERE / "cells.py"), str(script), str(folder)]
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


def run_scripts(output, jobs=None):
    """Run what has changed of the examples; return each one's folder, and what went wrong."""
    folders = {script: output / script.stem for script in scripts()}
    failures = []
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        runs = {pool.submit(run, script, folder): script for script, folder in folders.items()}
        for done in tqdm.tqdm(as_completed(runs), total=len(runs), desc="examples", unit=""):
            if error := done.result():
                failures.append(f"{runs[done].relative_to(HERE)} failed:\n{error}")
                tqdm.tqdm.write(failures[-1])
    return folders, failures


def order(claim):
    """Sort claims as the notes do: 2, 16, 16b, 27, …, and what is beyond them, D1, …, last.

    >>> sorted(["D1", "16b", "2", "16"], key=order)
    ['2', '16', '16b', 'D1']
    """
    beyond, number, suffix = re.fullmatch(r"(D?)(\d+)(.*)", claim).groups()
    return beyond, int(number), suffix


def read_claims(folders):
    """Collect the verdicts that the examples left in their folders."""
    claims = [
        json.loads(file.read_text(encoding="utf-8")) | {"example": folder.name}
        for folder in folders
        for file in folder.glob("claim-*.json")
    ]
    return sorted(claims, key=lambda claim: order(claim["claim"]))


def differences(claims, expected):
    """List where the verdicts are not the expected ones."""
    found = collections.Counter(claim["claim"] for claim in claims)
    problems = [f"claim {name} was judged {n} times" for name, n in found.items() if n > 1]
    problems += [f"claim {name} was not judged" for name in expected if name not in found]
    for claim in claims:
        name, verdict = claim["claim"], claim["verdict"]
        if verdict != expected.get(name) and not claim["timing"]:
            problems.append(f"claim {name}: {verdict}, but expected was {expected.get(name)}")
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
    parser.add_argument("--output", type=Path, default=HERE.parent / "build" / "examples")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    arguments = parser.parse_args()
    output = arguments.output.absolute()
    folders, failures = run_scripts(output, arguments.jobs)
    claims = read_claims(folders.values())
    expected = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
    show(claims)
    ledger = json.dumps(claims, ensure_ascii=False, indent=1) + "\n"
    (output / "ledger.json").write_text(ledger, encoding="utf-8")
    (output / "ledger.md").write_text(markdown(claims), encoding="utf-8")
    print(f"Written: {output / 'ledger.json'}, {output / 'ledger.md'}")
    problems = differences(claims, expected)
    print("\n".join(problems))
    sys.exit(bool(failures or problems))


if __name__ == "__main__":
    main()
