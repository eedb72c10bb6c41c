"""The exercises of the pages: what readers start from, the solution, and wrong answers."""

from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg

fences = pytest.importorskip("fences", reason="the docs are not part of this package")
course = pytest.importorskip("course", reason="the docs are not part of this package")
exercise = pytest.importorskip("exercise", reason="the docs are not part of this package")

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [DOCS / "fifteen_minutes.md", *sorted((DOCS / "source").glob("*.md"))]

# For each exercise two changes that make its solution wrong, with what the first check that fails
# must say: what was got, and what was expected.
WRONG = {
    "scalar": [
        ("(other, lambda g: g * self)", "(other, lambda g: g * other)", "6.0", "2"),
        (
            "(self, lambda g: g * other)",
            "(self, lambda g: Scalar(g.value * other.value))",
            "1",
            "2",
        ),
    ],
    "sine": [
        ("g * (Scalar(-1.0) * sin(x))", "g * sin(x)", "[2]: 0.64", "[2]: -0.64"),
        ("lambda g: g * cos(x)", "lambda g: cos(x)", "[3]: 0.76", "[3]: -0.76"),
    ],
    "node": [
        ("g * 3 * x * x", "g * 3 * x", "6.0", "12"),
        (
            "[y.data, x.data]",
            "[x.data, x.data]",
            "RuntimeError: the result of cube has a new",
            None,
        ),
    ],
    "unbroadcast": [
        ("axis=stretched, keepdims=True", "axis=stretched", "shape: (4, 3)", "shape: (4, 1, 3)"),
        (
            "range(g.ndim - len(shape))",
            "range(len(shape), g.ndim)",
            "shape: (4, 2)",
            "shape: (2, 3)",
        ),
    ],
    "pass": [
        ("contribution = gradients[operand] + contribution", "pass", "3.0", "9"),
        (
            "= _unbroadcast(contribution, operand.shape)",
            "= contribution",
            "shape: (2, 3)",
            "shape: (2, 1)",
        ),
    ],
    "formulas": [
        ("-g * y * y", "-g * y", "[0]: -2.0", "[0]: -4.0"),
        ("y, a, b: g * b / y", "y, a, b: g * a / y", "[1, 0]: 0.447", "[1, 0]: 0.894"),
    ],
    "cumsum": [
        ("cumsum(g[::-1])[::-1]", "cumsum(g)", "[0]: 1.0", "[0]: 111"),
        ("cumsum(g[::-1])[::-1]", "cumsum(g[::-1])", "[0]: 100.0", "[0]: 111"),
    ],
    "softplus": [
        ("tg.sigmoid(z)", "tg.sigmoid(-z)", "[1]: 0.0", "[1]: 1"),
        ("g * tg.sigmoid(z)", "tg.sigmoid(z)", "AssertionError: derivative 1 of softplus", None),
    ],
    "with_value": [
        ("mask[index] = True", "mask[0] = True", "[0]: 10.0", "[0]: 1"),
        ("value, x)", "value, x * x)", "[0]: 4.0", "[0]: 2"),
    ],
    "direction": [
        ("h * part", "h", "2.48", "4.21"),
        ("/ abs(expected)", "* 0", "0.0", "more than 0.0001"),
    ],
    "witness": [
        (
            '["multiply", "subtract"',
            '["subtract", "subtract"',
            "[0]: 'subtract'",
            "[0]: 'multiply'",
        ),
        ('["tanh", "multiply"', '["tanh", "power"', "[1]: 'power'", "[1]: 'multiply'"),
    ],
    "module": [
        (
            "dict.fromkeys(search(self))",
            "search(self)",
            "[(4, 3), (3,), (3, 2), (2,), (3, 2)",
            "[(4",
        ),
        ("[value] if value.requires_grad else []", "[value]", "[(), (4, 3)", "[(4, 3)"),
    ],
    "tied": [
        ("@ self.weight.T", "@ self.weight.data.T", "[0, 0]: 0.0", "[0, 0]: 0.00032"),
        ("tg.tanh(x @ self.weight)", "x @ self.weight", "[0, 0]: 0.0572", "[0, 0]: 0.0615"),
    ],
    "loader": [
        ("range(0, n, size)", "range(0, n - size + 1, size)", "[4, 4]", "[4, 4, 2]"),
        ("[seed, epoch]", "seed + epoch", "9", "25"),
    ],
    "resume": [
        ("done * loader.batch_size", "done", "13", "6"),
        ("/ np.sum(lengths)", "/ (len(lengths) * lengths[0])", "2.28", "2.31"),
    ],
    "sgd": [
        ("param.data - self.lr", "param.data + self.lr", "[0]: 6.0", "[0]: 2"),
        ("param.grad = None", "pass", "[0]: -1.0", "[0]: 1"),
    ],
    "momentum": [
        ("param.data + self.m[i]", "param.data - self.m[i]", "[0]: 2.6", "[0]: 1.4"),
        ("- self.lr", "- (1 - self.momentum) * self.lr", "[0]: 1.88", "[0]: 1.4"),
    ],
    "adam": [
        ("self.m[i] / (1 - self.beta1**self.t)", "self.m[i]", "[0]: 1.99", "[0]: 1.9"),
        ("self.v[i] / (1 - self.beta2**self.t)", "self.v[i]", "[0]: -1.16", "[0]: 1.9"),
    ],
    "heavy_ball": [
        ("(now - last)", "(last - now)", "[1, 0]: 1.46", "[1, 0]: 0.5"),
        ("self.previous = before", "pass", "[2, 0]: -0.85", "[2, 0]: -0.37"),
    ],
    "pairing": [
        ("(x - y).std(ddof=1)", "(x - y).std()", "25.04", "26.15"),
        ("T22 *", "T11 *", "3.239", "3.0528"),
    ],
    "product": [
        ("product.data for", "2 * product.data for", "[0]: 15.05", "[0]: 7.52"),
        (
            "gradients, params, v)",
            "gradients, params, [0 * part for part in v])",
            "[0]: 0.0",
            "[0]: 7.52",
        ),
    ],
    "lanczos": [
        ("- beta * previous", "", "[0]: -5.39", "[0]: -3.51"),
        ("w = w - alpha * q", "w = w - q", "3.93", "3.08"),
    ],
    "escape": [
        ("vectors[:, 0]", "vectors[:, -1]", "1.01002", "0.990025"),
        ("length * part", "part", "", "0.1"),
    ],
    "power": [
        ("201, steps) + 5", "201, steps)", "4.99", "less than 0.01"),
        ("v /= np.linalg.norm(v)", "v /= abs(v).sum()", "", ""),
    ],
    "ring": [
        ("(r - k) % p, ranks", "(r + k) % p, ranks", "[0]: 400.0", "[0]: 0.0"),
        ("if adding else message", "", "[1]: 1112.0", "[1]: 1111.0"),
    ],
    "held": [
        ("id(value): value.nbytes", "variable: value.nbytes", "8000", "16000"),
        ("isinstance(value, np.ndarray)", "value is variable.data", "8000", "16000"),
    ],
    "fair": [
        ("tg.SGD, lr=0.5)", "tg.SGD, lr=0.1)", "3.4", "less than 1.2"),
        ("tg.SGD, lr=0.05)", "tg.SGD, lr=0.5)", "1.0", "more than 5"),
    ],
}


def first_failure(result):
    return next(line for line in result["checks"] if not line["holds"])


@pytest.fixture(scope="module", params=PAGES, ids=lambda page: page.stem)
def exercises(request):
    """The exercises of a page: name, stub, checks, solution, and the page's names so far."""
    page, found = request.param, []
    text = page.read_text(encoding="utf-8")
    parsed, namespace = fences.parse(text), {"__name__": page.name}
    for fence, _ in fences.run(text, str(page), namespace):  # judges stub and solution
        if name := fence.options.get("solution"):
            parts = [
                fences.one_fence(parsed, kind, name, page).body for kind in ("exercise", "check")
            ]
            found.append((name, *parts, fence.body, dict(namespace)))
    return found


def test_wrong_answers_fail_and_name_the_first_wrong_value(exercises):
    for name, _, checks, solution, names in exercises:
        for old, new, got, expected in WRONG[name]:
            assert solution.count(old) == 1, (name, old)
            result = exercise.check("page", solution.replace(old, new), checks, names)
            assert not result["failed"], (name, new, result)
            line = first_failure(result)
            told = (line.get("got", line.get("error")), line.get("expected"))
            assert told[0].startswith(got), (name, new, line)
            assert told[1] == expected or told[1].startswith(expected), (name, new, line)
            assert told[0] != told[1]


def test_every_check_speaks_in_words(exercises):
    for name, _, checks, solution, names in exercises:
        result = exercise.check("page", solution, checks, names)
        assert len(result["checks"]) >= 2, name
        for line in result["checks"]:
            assert not line["code"] or line["says"].startswith("tg.check_grads"), (name, line)


def test_an_answer_changes_no_names_of_the_page(exercises):
    for _, stub, checks, solution, names in exercises:
        before = dict(names)
        for answer in (stub, solution):
            exercise.check("page", answer, checks, names)
        assert names.keys() == before.keys()
        assert all(names[name] is before[name] for name in names)


def test_each_exercise_has_its_wrong_answers_and_each_chapter_an_exercise():
    found = {}
    for page in PAGES:
        names = [
            fence.options["exercise"]
            for fence in fences.parse(page.read_text(encoding="utf-8"))
            if "exercise" in fence.options
        ]
        assert names or page.stem == "index"
        assert not set(names) & found.keys()
        found |= dict.fromkeys(names, page)
    assert found.keys() == WRONG.keys()
    assert set(course.COURSE) <= found.keys()


def test_a_sheet_has_every_exercise_and_solutions_only_where_they_are_asked_for():
    exercises = course.collect([page.relative_to(DOCS).as_posix() for page in PAGES])
    assert exercises.keys() == WRONG.keys()
    plain, solved = (course.sheet(exercises, solved) for solved in (False, True))
    for it in exercises.values():
        assert it.stub in plain
        assert it.question and it.checks and "```" not in it.question  # noqa: PT018
        assert f". {it.title}\n" in plain
        first = it.solution.split("```python\n")[1].split("```")[0]
        assert first in solved
        assert first not in plain
    assert "check=" not in solved
    assert "Hint" not in solved
    assert "](../" not in solved


# ── What is said ─────────────────────────────────────────────────────────────────────────────────


def said(code, checks):
    return exercise.check("page", code, checks, {"np": np, "tg": tg})["checks"]


@pytest.mark.parametrize(
    ("check", "got", "expected"),
    [
        ("assert x == 3", "2", "3"),
        ("assert x > 3", "2", "more than 3"),
        ("assert 0.1 + 0.2 == 0.5", "0.3", "0.5"),
        ("assert 0.1 + 0.2 == 0.3", "0.30000000000000004", "0.3"),
        ("assert x in (3, 4)", "2", "one of (3, 4)"),
        ("assert not x", "False", None),
        ("assert np.allclose([1.0, x], [1.0, 3.0])", "[1]: 2", "[1]: 3.0"),
        ("assert np.allclose(np.ones((2, 2)), [[1, 1], [1, x]])", "[1, 1]: 1.0", "[1, 1]: 2"),
        ("assert np.allclose(np.nan, 1.0)", "nan", "1.0"),
        ("assert np.array_equal(np.ones(2), np.ones(3))", "shape: (2,)", "shape: (3,)"),
        ("assert tg.Tensor([1.0]).data.tolist() == [2]", "[0]: 1.0", "[0]: 2"),
        ("assert [[1], 2] == [[1], 'b']", "[1]: 2", "[1]: 'b'"),
        ("assert [0] * 99 == [0] * 100", "length: 99", "length: 100"),
        ("assert [(1, 2)] == [(1, 3)]", "[0]: (1, 2)", "[0]: (1, 3)"),
        ("assert 'a' * 500 == ''", f"'{'a' * 199} …", "''"),
    ],
)
def test_both_sides_of_a_check_are_shown(check, got, expected):
    [line] = said("x = 2", check)
    assert not line["holds"]
    assert (line["got"], line.get("expected")) == (got, expected)


def test_a_message_takes_the_place_of_the_code():
    holds, code, words = said("", "assert 1 < 2\nassert 2 < 1\nassert 2 < 1, f'{1} is more'")
    assert holds == {"says": "1 < 2", "code": True, "holds": True}
    assert (code["says"], words["says"], words["code"]) == ("2 < 1", "1 is more", False)


def test_each_side_is_computed_once():
    code = "calls = []\n\n\ndef f():\n    calls.append(0)\n    return len(calls)"
    first, second = said(code, "assert f() == 2\nassert f() == 2")
    assert (first["got"], second["holds"]) == ("1", True)


def test_errors_are_said_and_a_line_that_fails_ends_the_checks():
    first, second = said("", "assert absent == 1\nx = 1 / 0\nassert x == 1")
    assert first["error"] == "NameError: name 'absent' is not defined"
    assert (second["says"], second["error"]) == ("x = 1 / 0", "ZeroDivisionError: division by zero")


def test_an_answer_with_an_error_is_not_checked():
    result = exercise.check("page", "1 / 0", "assert True", {})
    assert (result["failed"], result["solved"], result["checks"]) == (True, False, [])
    assert 'File "block answer", line 1' in result["text"]


def test_gradients_are_checked_by_the_library():
    wrong = "cube = tg.op(lambda g, y, x: g * x)(lambda x: x * x * x)"
    [line] = said(wrong, "tg.check_grads(cube, np.array([2.0]))")
    assert line["error"].startswith("AssertionError: derivative 1 of")
    [line] = said(
        wrong.replace("g * x)", "g * 3 * x * x)"), "tg.check_grads(cube, np.array([2.0]))"
    )
    assert line["holds"]


PAGE = """\
```python exercise="double"
def double(x):
    return x
```

```python check="double"
assert double(2) == 4, "twice 2"
```

```python solution="double"
def double(x):
    return 2 * x
```
"""


def test_a_page_whose_exercise_is_not_right_is_refused():
    assert len(list(fences.run(PAGE, "page", {}))) == 1
    with pytest.raises(AssertionError, match="page:10: this does not solve the exercise"):
        list(fences.run(PAGE.replace("2 * x", "3 * x"), "page", {}))
    with pytest.raises(AssertionError, match="page:1: this solves the exercise"):
        list(fences.run(PAGE.replace("return x", "return x + x"), "page", {}))
    with pytest.raises(ValueError, match='there are 2 fences with exercise="double"'):
        list(fences.run(PAGE + PAGE, "page", {}))


def test_a_page_shows_what_to_start_from_and_hides_the_checks():
    shown = fences.expand(PAGE, "page", live=True)
    assert '```{ .python .exercise data-exercise="double" data-browser="yes" data-checks="' in shown
    assert "assert double" not in shown
    assert "```{ .python .run }\ndef double(x):\n    return 2 * x" in shown
