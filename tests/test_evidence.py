"""Verdicts come from paired differences, by one rule, and bad input is no verdict."""

import json

import numpy as np
import pytest
import scipy.stats
from matplotlib import pyplot as plt

evidence = pytest.importorskip("evidence", reason="the examples are not part of this package")

GIVEN = {"slide": "0", "ours": "1", "rule": "more", "verdict": "reproduced"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "FOLDER", tmp_path / "figures")
    return tmp_path / "figures"


def test_the_interval_is_that_of_students_paired_test():
    generator = np.random.default_rng(0)
    first, second = generator.normal(0.5, size=12), generator.normal(size=12)
    interval = evidence.paired_interval(first, second)
    low, high = scipy.stats.ttest_rel(first, second).confidence_interval(0.95)
    assert interval.mean == pytest.approx((first - second).mean())
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.pairs == 12


def test_the_interval_covers_the_truth_in_95_of_100_cases():
    generator = np.random.default_rng(0)
    intervals = [
        evidence.paired_interval(generator.normal(1, size=12), np.zeros(12)) for _ in range(2000)
    ]
    covered = np.mean([interval.low <= 1 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_small_unsigned_integers_do_not_wrap_around():
    wrapping = np.array([1, 2, 3], "uint8"), np.array([2, 3, 5], "uint8")
    assert evidence.paired_interval(*wrapping).mean == pytest.approx(-4 / 3)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1.0], [2.0], "two at least"),
        ([1.0, 2.0], [1.0], r"\(2,\) and \(1,\)"),
        ([1.0, 2.0], [[1.0], [2.0]], r"\(2,\) and \(2, 1\)"),
        ([1.0, np.nan], [1.0, 2.0], "not finite"),
        ([1.0, np.inf], [1.0, 2.0], "did a run diverge"),
    ],
)
def test_what_are_no_pairs_is_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        evidence.paired_interval(first, second)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 1, "reproduced"), (-1, -0.1, "contradicted"), (-1, 1, "not seen"), (0, 1, "not seen")],
)
def test_the_rule_of_the_verdict(low, high, verdict):
    assert evidence.judge(evidence.Interval((low + high) / 2, low, high, 12)) == verdict


@pytest.mark.parametrize(
    ("words", "verdict", "share"),
    [
        (["reproduced", "reproduced"], "reproduced", "2 of 2"),
        (["reproduced", "not seen", "contradicted"], "reproduced under conditions", "1 of 3"),
        (["not seen", "not seen"], "not seen", "2 of 2"),  # a null contradicts nothing
        (["not seen", "contradicted"], "contradicted", "1 of 2"),
        ([True, True], "reproduced", "2 of 2"),
        ([True, False], "reproduced under conditions", "1 of 2"),
        (np.array([False]), "contradicted", "1 of 1"),
    ],
)
def test_the_rule_of_several_conditions(words, verdict, share):
    words = [word if isinstance(word, str) else bool(word) for word in words]
    assert evidence.judge_conditions(words)[:2] == (verdict, share)
    names = evidence.judge_conditions(
        {f"case {i}": word for i, word in enumerate(words)}
    ).conditions
    assert all(f"case {i}" in names for i in range(len(words))) == (len(set(words)) > 1)


def test_no_condition_is_no_verdict():
    with pytest.raises(ValueError, match="no condition"):
        evidence.judge_conditions([])


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (["reproduced"] * 3, "reproduced"),
        (["reproduced", "not seen"], "not seen"),
        (["reproduced", "contradicted", "not seen"], "contradicted"),
        ([], "not seen"),
    ],
)
def test_a_claim_of_several_parts_needs_all_of_them(words, verdict):
    assert evidence.judge_all(words) == verdict


def test_the_conditions_that_a_claim_is_about_decide_first():
    words = {"slide": "reproduced", "other": "not seen"}
    assert (
        evidence.judge_conditions(words, leading=["slide"]).verdict == "reproduced under conditions"
    )
    assert evidence.judge_conditions(words, leading=["other"]) == ("not seen", "", "")
    assert evidence.judge_conditions(words, leading=["slide", "other"]).verdict == "not seen"


def test_a_report_names_the_conditions(folder, capsys):
    ruling = evidence.judge_conditions({"early": "reproduced", "late": "not seen"})
    evidence.report("7b", "More is more.", **GIVEN | {"verdict": ruling})
    told = "reproduced under conditions (1 of 2) reproduced: early; not seen: late"
    assert told in " ".join(capsys.readouterr().out.split())
    record = json.loads((folder / "claim-7b.json").read_text(encoding="utf-8"))
    assert record["verdict"] == "reproduced under conditions"
    assert (record["share"], record["conditions"]) == (
        "1 of 2",
        "reproduced: early; not seen: late",
    )


def test_a_report_is_printed_and_kept(folder, capsys):
    evidence.report("7b", "More is more.", **GIVEN, caveat="not always")
    assert "Claim 7b: More is more." in capsys.readouterr().out
    record = json.loads((folder / "claim-7b.json").read_text(encoding="utf-8"))
    assert (record["verdict"], record["measured"]) == ("reproduced", "1")
    assert record["timing"] is False


def test_another_word_is_no_verdict(folder):
    with pytest.raises(ValueError, match="'proven'"):
        evidence.report("7b", "More is more.", **GIVEN | {"verdict": "proven"})
    assert not folder.exists()


def test_a_figure_is_saved_for_light_and_dark_pages_and_always_the_same(folder):
    def draw():
        figure, axes = plt.subplots()
        axes.plot([1, 2], color="C0")
        return figure

    def files():
        evidence.save("line", draw)
        return [(folder / name).read_bytes() for name in ("line.svg", "line-dark.svg")]

    light, dark = files()
    assert b"#0072b2" in light
    assert b"#56b4e9" in dark
    assert files() == [light, dark]


def test_a_drawing_that_fails_leaves_no_figure_open():
    def draw():
        plt.subplots()
        raise KeyError

    with pytest.raises(KeyError):
        evidence.save("line", draw)
    assert not plt.get_fignums()
