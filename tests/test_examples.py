"""The examples: every claim is judged, and a planted bug overturns the verdict."""

import json
import re
import runpy
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg

EXAMPLES = Path(__file__).parent.parent / "examples"
evidence = pytest.importorskip("evidence", reason="the examples are not part of this package")
cells, rules, run_all = (pytest.importorskip(name) for name in ("cells", "rules", "run_all"))

SCRIPTS = sorted(EXAMPLES.glob("*/*.py"))
STRIPS = run_all.read_strips()
EXPECTED = {name: word for strip in STRIPS.values() for name, word in strip[0]["verdicts"].items()}
pytestmark = pytest.mark.filterwarnings("default")
needs_mpi = pytest.mark.skipif(not find_spec("mpi4py"), reason="MPI is not installed")


# ── The pages ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
class TestScript:
    def test_is_a_page_with_a_title_and_a_verdict(self, script):
        found = cells.split(script.read_text(encoding="utf-8"))
        assert found[0][0] == "markdown"
        assert found[0][3].startswith("# ")
        assert found[-1][0] == "code"
        assert "evidence.report(" in found[-1][3]

    def test_is_listed(self, script):
        page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
        assert f"({script.parent.name}/{script.name})" in page


def test_every_row_of_the_notes_has_a_verdict():
    rows = {str(number) for number in range(1, 33)} | {"16b", "27b", "27c", "31b", "31c"}
    rows |= {"D1", "D2", "D3", "D4", "D5", "D6", "D7"}
    assert rows <= {re.sub(r"(?<=\d)[a-z]+$", "", claim) for claim in EXPECTED} | set(EXPECTED)


def test_a_failing_cell_is_named_by_file_and_line(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "FOLDER", evidence.FOLDER)  # put back afterwards
    script = tmp_path / "bad.py"
    script.write_text("# %% [markdown]\n# # Bad\n\n# %%\nx = 1\nraise KeyError(x)\n")
    with pytest.raises(KeyError) as caught:
        cells.run(script, tmp_path)
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (str(script), 6)


# ── The ledger ───────────────────────────────────────────────────────────────────────────────────


def claim(name, verdict, timing=False):
    return {"claim": name, "verdict": verdict, "timing": timing}


ONE, NARROW = Path("one.py"), {"width": 8}
STRIP = {
    "one": [
        {"setting": {}, "verdicts": {"1": "reproduced", "2": "definition"}},
        {"setting": NARROW, "verdicts": {"1": "not seen", "2": "definition"}},
    ]
}


@pytest.mark.parametrize(
    ("claims", "setting", "problems"),
    [
        ([claim("1", "reproduced"), claim("2", "definition")], {}, []),
        ([claim("1", "reproduced")], {}, ["claim 2 was not judged"]),
        (
            [claim("1", "not seen"), claim("2", "definition")],
            {},
            ["claim 1: not seen, but expected was reproduced"],
        ),
        (
            [claim("1", "reproduced"), claim("2", "definition"), claim("3", "not seen")],
            {},
            ["claim 3: not seen, but expected was no such claim"],
        ),
        ([claim("1", "not seen"), claim("2", "definition")], {"lr": 0.3}, []),
        (
            [claim("1", "contradicted"), claim("2", "definition")],
            {"lr": 0.3},
            ["claim 1 with lr = 0.3: contradicted, but expected was not seen or reproduced"],
        ),
        ([claim("1", "contradicted", timing=True), claim("2", "definition")], {}, []),
    ],
)
def test_a_verdict_that_its_strip_does_not_have_is_a_problem(claims, setting, problems):
    assert run_all.differences(claims, STRIP, ONE, setting) == problems


def test_every_row_of_the_strips_is_drawn_in_the_end(monkeypatch):
    rows = {(script, *row["setting"].items()) for script, row in STRIPS.items() for row in row[1:]}
    found = {
        (script.stem, *setting.items())
        for day in range(len(rows))
        for script, setting in run_all.drawn(2, day)
    }
    assert found == rows


def test_a_result_is_kept_until_the_script_changes(tmp_path):
    script, folder = tmp_path / "count.py", tmp_path / "result"
    script.write_text(f"# %%\nopen({str(tmp_path / 'runs')!r}, 'a').write('x')\n")
    assert [run_all.run(script, folder) for _ in range(2)] == ["", ""]
    assert (tmp_path / "runs").read_text() == "x"
    script.write_text(script.read_text() + "print(1)\n")
    assert run_all.run(script, folder) == ""
    assert (tmp_path / "runs").read_text() == "xx"
    script.write_text("# %%\nraise SystemExit('no data')\n")
    assert "no data" in run_all.run(script, folder)
    assert "no data" in run_all.run(script, folder)  # a failure is not kept


# ── Planted bugs ─────────────────────────────────────────────────────────────────────────────────


def verdicts(script, monkeypatch, folder):
    """Run a script, without its figures and its bet, and return the verdicts."""
    monkeypatch.setattr(evidence, "FOLDER", folder)
    for name in ("save", "bet"):  # a bet refuses what no reader could guess
        monkeypatch.setattr(evidence, name, lambda *_, **__: None)
    monkeypatch.setattr("sys.argv", [script])
    (path,) = EXAMPLES.glob(f"*/{script}.py")
    runpy.run_path(str(path), run_name="__main__")
    records = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("claim-*.json")]
    return {record["claim"]: record["verdict"] for record in records}


def momentum_step(new_m, nesterov=True):
    """Return a Momentum.step with another formula for m."""

    def step(self):
        for place, parameter in enumerate(self.params):
            g = parameter.grad.data
            m = tg.Tensor(new_m(self.m[place], g, self.momentum, self.lr)).data
            self.m[place] = m
            ahead = self.nesterov and nesterov
            change = self.momentum * m - self.lr * g if ahead else m
            parameter.data = tg.Tensor(parameter.data + change).data

    return step


def climb(self):
    for parameter in self.params:
        parameter.data = tg.Tensor(parameter.data + self.lr * parameter.grad.data).data


def first_rate(self, honest=tg.SGD.step):
    self.lr = self.__dict__.setdefault("first", self.lr)
    honest(self)


def swapped_pairs(first, second, honest=rules.paired_interval):
    return honest(second, first)


def same_pairs(first, second, honest=rules.paired_interval):
    return honest(first, first)


def upside_down(self, v, honest=tg.HessianOperator.__matmul__):
    return -honest(self, v)


def whole_batches(self, dataset, batch_size=1, *options, honest=tg.DataLoader.__init__, **named):
    honest(self, dataset, len(dataset), *options, **named)


def hundreds(self, dataset, batch_size=1, *options, honest=tg.DataLoader.__init__, **named):
    honest(self, dataset, 100, *options, **named)


def with_replacement(self, epoch):
    size = len(self.dataset)
    return np.random.default_rng((self.seed, epoch)).integers(size, size=size)


def sharper(*arguments, honest=tg.extreme_eigenpairs, **options):
    found = honest(*arguments, **options)
    return found._replace(values=1.1 * found.values)


def other_end(*arguments, honest=tg.extreme_eigenpairs, **options):
    found = honest(*arguments, **options)
    return found._replace(vectors=found.vectors[:, ::-1])


def uniform(*arguments, honest=tg.spectral_density, **options):
    found = honest(*arguments, **options)
    return found._replace(weights=np.full_like(found.weights, 1 / len(found.weights)))


MOMENTUM = tg.Momentum, "step"
PLANTS = {
    "the Hessian is negative": (tg.HessianOperator, "__matmul__", upside_down),
    "all batches are of 100": (tg.DataLoader, "__init__", hundreds),
    "the loader ignores batch_size": (tg.DataLoader, "__init__", whole_batches),
    "the loader does not shuffle": (
        tg.DataLoader,
        "order",
        lambda self, epoch: np.arange(len(self.dataset)),
    ),
    "eigenvalues a tenth too large": (tg, "extreme_eigenpairs", sharper),
    "eigenvectors of the other end": (tg, "extreme_eigenpairs", other_end),
    "all eigenvalues count alike": (tg, "spectral_density", uniform),
    "gradients are never cleared": (tg.SGD, "zero_grad", lambda self: None),
    "an epoch draws with replacement": (tg.DataLoader, "order", with_replacement),
    "SGD stands still": (tg.SGD, "step", lambda self: None),
    "momentum pulls back": (*MOMENTUM, momentum_step(lambda m, g, λ, η: -λ * m - η * g)),
    "momentum is an average": (
        *MOMENTUM,
        momentum_step(lambda m, g, λ, η: λ * m - (1 - λ) * η * g),
    ),
    "no momentum": (*MOMENTUM, momentum_step(lambda m, g, λ, η: -η * g)),
    "no look-ahead": (*MOMENTUM, momentum_step(lambda m, g, λ, η: λ * m - η * g, nesterov=False)),
    "SGD climbs": (tg.SGD, "step", climb),
    "SGD keeps its first learning rate": (tg.SGD, "step", first_rate),
    "swapped treatments": (rules, "paired_interval", swapped_pairs),
    "a treatment is compared with itself": (rules, "paired_interval", same_pairs),
}
OVERTURNED = [
    ("parallelogram", "momentum pulls back", "23"),
    ("parallelogram", "SGD climbs", "21"),
    ("weighted_sum", "momentum pulls back", "24"),
    ("weighted_sum", "momentum is an average", "25"),
    ("conventions", "momentum pulls back", "27b"),
    ("conventions", "no look-ahead", "27b"),
    ("saddle", "the Hessian is negative", "29"),
    ("saddle", "SGD stands still", "30"),
    ("batches_and_epochs", "gradients are never cleared", "2"),
    ("batches_and_epochs", "an epoch draws with replacement", "3"),
    ("flat_and_sharp", "SGD climbs", "16b"),
    *[
        pytest.param(*case, marks=pytest.mark.long)
        for case in [
            ("rolling_ball", "no momentum", "20"),
            ("rolling_ball", "momentum pulls back", "27"),
            ("tuning_momentum", "no momentum", "26"),
            ("effective_rate", "swapped treatments", "27c"),
            ("shuffling", "the loader does not shuffle", "4"),
            ("shuffling", "swapped treatments", "4b"),
            ("shuffling", "the loader does not shuffle", "4c"),
            ("mortar_and_gatling", "gradients are never cleared", "5"),
            ("mortar_and_gatling", "swapped treatments", "5b"),
            ("two_losses", "the loader ignores batch_size", "12"),
            ("two_losses", "swapped treatments", "12b"),
            ("update_time", "all batches are of 100", "8"),
            ("batch_size_and_accuracy", "the loader ignores batch_size", "9"),
            ("batch_size_and_accuracy", "swapped treatments", "10"),
            ("batch_size_and_accuracy", "swapped treatments", "11"),
            ("generalization_gap", "the loader ignores batch_size", "13"),
            ("generalization_gap", "the loader ignores batch_size", "14"),
            ("sharpness", "the loader ignores batch_size", "16"),
            ("sharpness_and_test", "swapped treatments", "16c"),
            ("summary_table", "the loader ignores batch_size", "17"),
            ("batch_size_tuning", "momentum pulls back", "18"),
            ("large_batch", "the loader ignores batch_size", "19"),
            ("large_batch", "SGD keeps its first learning rate", "19c"),
            ("minimum_ratio", "the Hessian is negative", "31"),
            ("minimum_ratio", "the Hessian is negative", "31b"),
            ("minimum_ratio", "the Hessian is negative", "31c"),
            ("batches_at_saddles", "no momentum", "32"),
            ("batches_at_saddles", "the loader ignores batch_size", "32"),
            ("edge_of_stability", "eigenvalues a tenth too large", "D1"),
            ("noise_floor", "momentum is an average", "D5"),
            ("noise_floor", "an epoch draws with replacement", "D5"),
            ("decay_or_raise", "SGD keeps its first learning rate", "D6"),
            ("critical_batch", "the loader ignores batch_size", "D7"),
            ("critical_batch", "a treatment is compared with itself", "D7b"),
            ("top_eigenspace", "eigenvectors of the other end", "D2"),
            ("spectrum", "all eigenvalues count alike", "D3"),
            ("noise_scale", "swapped treatments", "D4"),
        ]
    ],
    *[
        pytest.param("data_parallelism", plant, "19b", marks=needs_mpi)
        for plant in ("the loader does not shuffle", "momentum pulls back")
    ],
]


@pytest.mark.parametrize(("script", "plant", "claim"), OVERTURNED)
def test_a_planted_bug_overturns_the_verdict(script, plant, claim, monkeypatch, tmp_path):
    monkeypatch.setattr(*PLANTS[plant])
    assert verdicts(script, monkeypatch, tmp_path)[claim] != EXPECTED[claim]


@pytest.mark.parametrize("script", ["parallelogram", "weighted_sum"])
def test_without_a_plant_the_verdicts_are_the_expected_ones(script, monkeypatch, tmp_path):
    found = verdicts(script, monkeypatch, tmp_path)
    assert found == {claim: EXPECTED[claim] for claim in found}
