"""What is kept: texts apart from their numbers, figures, bets, settings and verdicts."""

import json

import pytest
from matplotlib import pyplot as plt

evidence = pytest.importorskip("evidence", reason="the examples are not part of this package")
rules, run_all = (pytest.importorskip(name) for name in ("rules", "run_all"))

GIVEN = {"slide": "0", "ours": "1", "rule": "more", "verdict": "reproduced"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "FOLDER", tmp_path / "figures")
    return tmp_path / "figures"


def test_a_report_names_the_conditions(folder, capsys):
    ruling = rules.judge_conditions({"early": "reproduced", "late": "not seen"})
    evidence.report("7b", "More is more.", **GIVEN | {"verdict": ruling})
    told = "reproduced under conditions (1 of 2) reproduced: early; not seen: late"
    assert told in " ".join(capsys.readouterr().out.split())
    record = run_all.read_record(folder / "claim-7b.json")
    assert record["verdict"] == "reproduced under conditions"
    assert (record["share"], record["conditions"]) == (
        "1 of 2",
        "reproduced: early; not seen: late",
    )


def test_a_report_is_printed_and_kept(folder, capsys):
    evidence.report("7b", "More is more.", **GIVEN, caveat="not always")
    assert "Claim 7b: More is more." in capsys.readouterr().out
    record = run_all.read_record(folder / "claim-7b.json")
    assert (record["verdict"], record["measured"]) == ("reproduced", "1")
    assert record["timing"] is False


@pytest.mark.parametrize(
    "text",
    [
        "B = 4 leads by +2.1 [−0.3, 4.5] points",
        "97.5 % at η = 1e-3, 1,437 of {x}",
        "L1, x2 and claim 13b have no numbers, arXiv:1609.04836",
        "",
    ],
)
def test_numbers_that_are_taken_out_can_be_put_back(text):
    template, numbers = evidence.apart(text)
    assert template.format(*numbers) == text
    assert not {"L1", "x2", "13b"} & set(numbers)


def test_the_same_text_with_other_numbers_has_the_same_template():
    first, second = (evidence.apart(f"saves {n} updates") for n in ("528", "−1.5e-3"))
    assert first[0] == second[0] == "saves {0} updates"


def test_a_headline_that_fits_on_no_card_is_refused(folder):
    with pytest.raises(ValueError, match="at most 60 characters, not 61"):
        evidence.report("7b", "More is more.", **GIVEN, headline=61 * "x")
    assert not folder.exists()


# ── Settings ─────────────────────────────────────────────────────────────────────────────────────


def test_a_setting_is_the_first_choice_or_what_the_command_line_says(folder, monkeypatch):
    monkeypatch.setattr("sys.argv", ["script.py", "--lr", "0.2", "--width", "8"])
    chosen = evidence.settings(seed=[200, 300], lr=[0.1, 0.4])
    assert vars(chosen) == {"seed": 200, "lr": 0.2}  # and the script has no width
    kept = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert kept["choices"] == {"seed": [200, 300], "lr": [0.1, 0.4]}
    assert run_all.strip_of(folder) == [{}, {"seed": 300}, {"lr": 0.4}]


@pytest.mark.parametrize(
    "options", [["--lr", "large"], ["--rate", "1"], ["--seed", "1.5"], ["--seed", "95"]]
)
def test_a_setting_that_is_none_is_refused(options, folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["script.py", *options])
    with pytest.raises(SystemExit):
        evidence.settings(seed=[200, 300], lr=[0.1, 0.4])
    assert options[0].strip("-") in capsys.readouterr().err
    assert not folder.exists()


# ── Bets ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_bet_keeps_its_answer(folder):
    evidence.bet("Which?", answer="SGD", options=["Momentum", "SGD"], told="SGD, by 3.")
    bet = run_all.read_record(folder / "bet.json")
    assert (bet["answer"], bet["option 1"], bet["told"]) == (1, "SGD", "SGD, by 3.")
    evidence.bet("How far?", answer=0.87, slider=(0, 1, 0.01), symbol="λ = ", told="So far.")
    bet = run_all.read_record(folder / "bet.json")
    assert (bet["answer"], bet["slider"], bet["symbol"]) == (0.87, [0, 1, 0.01], "λ = ")


@pytest.mark.parametrize(
    "given",
    [
        {"answer": "Adam", "options": ["SGD", "Momentum"]},
        {"answer": 2.0, "slider": (0, 1, 0.01)},
        {"answer": float("nan"), "slider": (0, 1, 0.01)},
        {"answer": 0.5},
        {"answer": 0.5, "slider": (0, 1, 0.01), "options": ["SGD"]},
    ],
)
def test_a_bet_that_nobody_could_win_is_refused(given, folder):
    with pytest.raises(ValueError, match="could guess|options"):
        evidence.bet("Which?", told="This.", **given)
    assert not folder.exists()


# ── Verdicts and figures ─────────────────────────────────────────────────────────────────────────


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


def test_the_leading_figure_is_saved_for_phones_too(folder):
    def draw():
        figure, axes = plt.subplots(figsize=(7, 3))
        axes.set(xlabel="updates")
        return figure

    evidence.save("line", draw, caption="A line of 2.", alt="Nothing.", lead=True)
    assert b'width="288' in (folder / "line-narrow.svg").read_bytes()
    assert b'width="504' in (folder / "line.svg").read_bytes()
    assert b">updates</text>" in (folder / "line-narrow-dark.svg").read_bytes()
    record = run_all.read_record(folder / "figure-line.json")
    assert (record["caption"], record["alt"], record["lead"]) == ("A line of 2.", "Nothing.", True)
    assert record["file"] == "line.svg"


def test_a_drawing_that_fails_leaves_no_figure_open():
    def draw():
        plt.subplots()
        raise KeyError

    with pytest.raises(KeyError):
        evidence.save("line", draw)
    assert not plt.get_fignums()
