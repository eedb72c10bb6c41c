"""What is filled into pages when the site is written."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("vendor", reason="the docs are not part of this package")
pages = pytest.importorskip("pages", reason="what builds the site is not there")

ledger, prose = pages.ledger, pages.prose
EXPECTED = {
    name: word
    for strip in pages.run_all.read_strips().values()
    for name, word in strip[0]["verdicts"].items()
}
SCRIPTS = sorted((Path(__file__).parent.parent / "examples").glob("*/*.py"))
FOUND = ["tests/test_a.py::test_x[1]", "tests/test_a.py::test_x[2]", "tests/test_b.py::test_y"]


def test_tests_are_counted_by_the_start_of_their_names():
    text = "{{}} in all, {{tests/test_a.py}} of them there: `test_x`, `test_x[2]`, `test_y`"
    assert pages.count_tests(text, FOUND).startswith("3 in all, 2 of them there")


@pytest.mark.parametrize("text", ["{{tests/test_c.py}}", "`test_z`", "`test_x[3]`"])
def test_a_test_that_is_not_there_is_refused(text):
    with pytest.raises(ValueError, match="no test"):
        pages.count_tests(text, FOUND)


def test_names_of_the_package_are_linked_in_prose_only():
    prose = "`tg.grad`, [`tg.grad`](x.md), `tg.absent`, `tg.nn`"
    page = f"# `tg.grad`\n\n{prose}\n\n```python\n`tg.grad`\n```\n"
    linked = pages.link_names(page, "source/x.md")
    assert linked.count("](../api/core.md#tinygrad_edu.core.grad)") == 1
    assert linked.count("](../api/nn.md)") == 1
    assert linked.count("](") == 3


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_downloaded_example_is_whole(script):
    text = pages.weave.embed(script.read_text(encoding="utf-8"), script)
    assert "sys.path" not in text
    compile(text, script.name, "exec")


@pytest.fixture(scope="session")
def result(tmp_path_factory):
    """Run one example."""
    (script,) = (script for script in SCRIPTS if script.stem == "weighted_sum")
    folder = tmp_path_factory.mktemp("examples") / script.stem
    assert pages.run_all.run(script, folder) == ""
    return script, folder


def code_of(notebook):
    cells = json.loads(notebook)["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return "\n\n".join(code)


@pytest.mark.parametrize("kind", ["script", "notebook"])
def test_a_download_runs_anywhere(kind, result, tmp_path):
    script, folder = result
    code = {
        "script": lambda: pages.weave.embed(script.read_text(encoding="utf-8"), script),
        "notebook": lambda: code_of(pages.weave.notebook(script, folder)),
    }[kind]()
    (tmp_path / "downloaded.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "downloaded.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "claim-24.json").exists()


def test_a_page_shows_the_claim_the_bet_the_figure_the_verdict_and_then_the_code(result):
    page = pages.weave.page(*result)
    order = ['class="said"', 'class="bet"', 'id="outcome"', "<figure", 'class="found', "## Why"]
    order += ["## How it was measured", "```python"]
    places = [page.index(part) for part in order]
    assert places == sorted(places)
    assert "另一种解读方式" in page
    assert page.count("evidence.bet(") == 0  # its answer would be told beside the question
    assert page.count("Claim 24:") == 0  # the cards tell it


def without(name):
    return lambda folder, cells: [cell for cell in cells if cell["name"] != name]


def remove(name):
    def change(folder, cells):
        (folder / name).unlink()
        return cells

    return change


def rewrite(name, change):
    """Change a record of the script's."""

    def rewritten(folder, cells):
        record = json.loads((folder / name).read_text(encoding="utf-8"))
        change(record)
        (folder / name).write_text(json.dumps(record), encoding="utf-8")
        return cells

    return rewritten


def untold(key):
    return lambda record: record["texts"].update({key: ""})


def lead(wanted):
    return lambda record: record.update(lead=wanted)


FIGURE, CLAIM = "figure-weighted_sum.json", "claim-24.json"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("why"), r"weighted_sum\.py:\d+: no cell `# %% why"),
        (without("verdict"), r"weighted_sum\.py:\d+: no cell `# %% verdict"),
        (remove("bet.json"), r"weighted_sum\.py:\d+: no cell `# %% bet"),
        (
            rewrite(FIGURE, untold("caption")),
            r"py:\d+: .*weighted_sum has no caption",
        ),
        (rewrite(FIGURE, untold("alt")), r"weighted_sum\.py:\d+: .*weighted_sum has no alt"),
        (rewrite(FIGURE, lead(False)), r"weighted_sum\.py:\d+: one figure leads"),
        (rewrite(CLAIM, untold("headline")), r"weighted_sum\.py:\d+: claim 24 has no headline"),
    ],
)
def test_a_script_that_lacks_what_its_page_needs_is_named_with_its_line(
    change, message, result, tmp_path
):
    script, folder = result
    copy = shutil.copytree(folder, tmp_path / folder.name)
    cells = json.loads((copy / "cells.json").read_text(encoding="utf-8"))["cells"]
    pages.weave.require(script, copy, cells)
    with pytest.raises(ValueError, match=message):
        pages.weave.require(script, copy, change(copy, cells))


def test_numbers_of_a_page_have_true_minus_signs():
    assert pages.weave.escaped("-0.5 of 1e-06 & <x> in 64-64-10") == (
        "−0.5 of 1e−06 &amp; &lt;x&gt; in 64-64-10"
    )


# ── The ledger, and the lecture's page ───────────────────────────────────────────────────────────


def test_what_to_believe_rests_on_the_expected_verdicts():
    claims = [{"claim": claim, "verdict": verdict} for claim, verdict in EXPECTED.items()]
    for group, (sentence, _) in ledger.BELIEFS.items():
        assert ledger.believe(group, claims) == sentence
    assert ledger.BELIEFS.keys() == ledger.TITLES.keys()


def test_another_verdict_changes_what_to_believe():
    claims = [{"claim": claim, "verdict": "reproduced"} for claim in EXPECTED]
    with pytest.raises(ValueError, match="Training ends in minima.* but claim 29"):
        ledger.believe("critical_points", claims)


def test_every_claim_of_the_notes_stands_on_the_lectures_page():
    text = (pages.DOCS / "lecture.md").read_text(encoding="utf-8")
    found = re.findall(r"\{claim (\w+)\}", text)
    added = {"16b", "19b", "27b", "27c", "31b"}  # which the notes leave out
    assert set(found) == {claim for claim in EXPECTED if claim[0] != "D"} - added
    assert len(found) == len(set(found))


def test_a_claim_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="there is no claim 99"):
        ledger.fill("{claim 99}", {})


# ── Every page ───────────────────────────────────────────────────────────────────────────────────


def test_chinese_is_marked_in_prose_only():
    front, image = "---\ndescription: 动量\n---\n\n", '![动量](动量.svg) <b title="动量">'
    page = f"{front}# 动量\n\n{image}\n\n```\n动量\n```\n"
    assert prose.mark_chinese(page).count('<span lang="zh-Hans">动量</span>') == 1


def test_descriptions_end_with_a_sentence():
    long = "One sentence is here. " + "And a second one has many words " * 9
    assert 'description: "One sentence is here."' in prose.describe(f"# Title\n\n{long}")
    assert prose.describe("---\ndescription: x\n---\n\nText") == "---\ndescription: x\n---\n\nText"


def test_links_to_settings_are_relative_to_the_built_page():
    link = "[go](../../playground.md?present#surface=ball&lr=1)"
    expected = '<a href="../../../playground/?present#surface=ball&amp;lr=1">go</a>'
    assert prose.link_players(link, "notes/momentum/rolling_ball.md") == expected
    assert 'href="playground/?' in prose.link_players(link, "index.md")


def test_every_paper_with_a_number_is_on_the_page_of_papers():
    text = (pages.DOCS / "papers.md").read_text(encoding="utf-8")
    for file in [*SCRIPTS, *pages.fences.PACKAGE.glob("*.py"), *pages.DOCS.glob("source/*.md")]:
        for number in re.findall(r"arXiv:(\d+\.\d+)", file.read_text(encoding="utf-8")):
            assert f"[arXiv:{number}](https://arxiv.org/abs/{number})" in text, file.name
