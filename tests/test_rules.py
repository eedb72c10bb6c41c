"""Verdicts come from paired differences, by one rule; what is broken is left out, and counted."""

import numpy as np
import pytest
import scipy.stats

rules = pytest.importorskip("rules", reason="the examples are not part of this package")


def test_the_interval_is_that_of_students_paired_test():
    generator = np.random.default_rng(0)
    first, second = generator.normal(0.5, size=12), generator.normal(size=12)
    interval = rules.paired_interval(first, second)
    low, high = scipy.stats.ttest_rel(first, second).confidence_interval(0.95)
    assert interval.mean == pytest.approx((first - second).mean())
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.pairs == 12


def test_the_interval_covers_the_truth_in_95_of_100_cases():
    generator = np.random.default_rng(0)
    intervals = [
        rules.paired_interval(generator.normal(1, size=12), np.zeros(12)) for _ in range(2000)
    ]
    covered = np.mean([interval.low <= 1 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_small_unsigned_integers_do_not_wrap_around():
    wrapping = np.array([1, 2, 3], "uint8"), np.array([2, 3, 5], "uint8")
    assert rules.paired_interval(*wrapping).mean == pytest.approx(-4 / 3)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1.0], [2.0], "two at least"),
        ([1.0, 2.0], [1.0], r"\(2,\) and \(1,\)"),
        ([1.0, 2.0], [[1.0], [2.0]], r"\(2,\) and \(2, 1\)"),
        ([1.0, np.nan], [1.0, 2.0], "not finite"),
        ([1.0, np.inf], [1.0, 2.0], "diverged counts as None"),
    ],
)
def test_what_are_no_pairs_is_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        rules.paired_interval(first, second)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 1, "reproduced"), (-1, -0.1, "contradicted"), (-1, 1, "not seen"), (0, 1, "not seen")],
)
def test_the_rule_of_the_verdict(low, high, verdict):
    assert rules.judge(rules.Interval((low + high) / 2, low, high, 12)) == verdict


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
    assert rules.judge_conditions(words)[:2] == (verdict, share)
    names = rules.judge_conditions({f"case {i}": word for i, word in enumerate(words)}).conditions
    assert all(f"case {i}" in names for i in range(len(words))) == (len(set(words)) > 1)


def test_no_condition_is_no_verdict():
    with pytest.raises(ValueError, match="no condition"):
        rules.judge_conditions([])


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
    assert rules.judge_all(words) == verdict


def test_the_conditions_that_a_claim_is_about_decide_first():
    words = {"slide": "reproduced", "other": "not seen"}
    assert rules.judge_conditions(words, leading=["slide"]).verdict == "reproduced under conditions"
    assert rules.judge_conditions(words, leading=["other"]) == ("not seen", "", "")
    assert rules.judge_conditions(words, leading=["slide", "other"]).verdict == "not seen"


# ── Broken runs ──────────────────────────────────────────────────────────────────────────────────


def test_a_broken_run_is_no_pair_and_is_counted():
    whole = rules.paired_interval([3.0, 4.0, 6.0], [2.0, 2.0, 3.0])
    broken = rules.paired_interval([3.0, None, 4.0, 6.0], [2.0, 1.0, 2.0, 3.0])
    assert broken == whole._replace(broken=1)


@pytest.mark.parametrize(("pairs", "word"), [(8, "reproduced"), (7, "not measured")])
def test_with_a_third_of_the_runs_broken_there_is_no_word(pairs, word):
    assert rules.judge(rules.Interval(2.0, 1.0, 3.0, pairs, 12 - pairs)) == word
    assert rules.judge_equal(rules.Interval(0.0, -0.1, 0.1, pairs, 12 - pairs), 1) == word


def test_one_whole_pair_is_no_interval():
    interval = rules.paired_interval([1.0, None], [2.0, 3.0])
    assert (interval.pairs, interval.broken, rules.judge(interval)) == (1, 1, "not measured")


# ── Nulls ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-0.9, 0.9, "reproduced"),
        (-1.1, 0.9, "not seen"),
        (1.1, 2, "contradicted"),
        (-2, -1.1, "contradicted"),
        (0.9, 1.1, "not seen"),
    ],
)
def test_equal_is_a_whole_interval_within_the_margin(low, high, word):
    assert rules.judge_equal(rules.Interval((low + high) / 2, low, high, 12), margin=1) == word


@pytest.mark.parametrize("control", [word for word in rules.VERDICTS if word != "reproduced"])
def test_a_null_needs_a_control_that_sees(control):
    assert rules.judge_null("not seen", control) == "not measured"
    assert rules.judge_null("not seen", "reproduced") == "not seen"
    assert rules.judge_null("contradicted", control) == "contradicted"


# ── Settings and data ────────────────────────────────────────────────────────────────────────────


def test_a_value_is_chosen_by_its_worst_seed_and_a_broken_run_rules_it_out():
    scores = {0.1: [0.8] * 6, 0.2: [0.9] * 5 + [0.85], 0.4: [0.99] * 5 + [None]}
    chosen = rules.tune([0.1, 0.2, 0.4], lambda lr, seed: scores[lr][seed - rules.TUNING[0]])
    assert chosen == (0.2, False)
    assert rules.tune([0.2, 0.4], lambda lr, seed: scores[lr][seed - rules.TUNING[0]]).at_the_end
    assert rules.tune([0.4], lambda lr, seed: None).value == 0.4


@pytest.mark.parametrize("split", [0, 1])
def test_the_three_parts_of_the_digits_are_all_of_them_once(split):
    parts = [part[:] for part in rules.digits(500, split)]
    assert [len(labels) for _, labels in parts] == [500, 360, 937]
    images = np.concatenate([images.numpy() for images, _ in parts])
    whole = np.concatenate([part[:][0].numpy() for part in rules.tg.datasets.digits()])
    assert sorted(map(bytes, images)) == sorted(map(bytes, whole))


def test_a_run_ends_at_its_target_or_where_it_breaks():
    data = rules.digits(64)

    def looks(lr, **options):
        model = rules.perceptron(64, 8, 10, seed=0)
        optimizer = rules.tg.SGD(model.parameters(), lr)
        return rules.history(model, optimizer, data, 8, seed=0, updates=100, every=10, **options)

    whole = looks(0.1)
    assert [look.update for look in whole] == list(range(10, 101, 10))
    target = whole[4].train.loss
    assert rules.first(whole, lambda look: look.train.loss <= target).update <= 50
    assert len(looks(0.1, stop=lambda look: look.update == 30)) == 3
    broken = looks(1e6)
    assert len(broken) < 10
    assert not broken[-1].train.loss < rules.BROKEN
    assert rules.first(broken, lambda look: look.train.loss < 0.1) is None
