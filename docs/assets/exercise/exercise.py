"""Check an answer to an exercise, one line after the other: what was got, and what was expected.

The checks are asserts. Each says by its message what must hold, else by its code; of a comparison,
or of np.allclose, both sides are shown, and of arrays and lists the first element that is wrong. A
call of tg.check_grads is a check, too. All else prepares the next check, and must not fail.
"""

import ast
import traceback

import numpy as np
import session

import tinygrad_edu as tg

CLOSE = {"allclose", "isclose", "array_equal"}
SIGNS = {"Lt": "less than ", "Gt": "more than ", "LtE": "at most ", "GtE": "at least "}
SIGNS |= {"NotEq": "not ", "In": "one of ", "Is": "the very same ", "IsNot": "not the very same "}
LIMIT = 200  # characters of a value


def check(page, code, checks, names=None):
    """Run an answer in a copy of a page's names, and judge it by the checks."""
    names = session.pages.get(page, {}) if names is None else names
    answer = f"{page} answer"
    session.pages[answer] = {**names, "__name__": "__main__"}
    result = session.run(answer, "answer", code)
    lines = [] if result["failed"] else judge(checks, session.pages.pop(answer))
    solved = bool(lines) and all(line["holds"] for line in lines)
    return {"text": result["text"], "failed": result["failed"], "checks": lines, "solved": solved}


def judge(source, names):
    """Run the checks in order; return what each says, and whether it holds."""
    lines = []
    for node in ast.parse(source).body:
        code = ast.get_source_segment(source, node)
        try:
            if isinstance(node, ast.Assert):
                lines.append(judge_assert(node, source, names))
                continue
            exec(compile(ast.Module([node], []), "the checks", "exec"), names)
            if code.startswith("tg.check_grads"):
                lines.append({"says": code, "code": True, "holds": True})
        except Exception as error:
            said = "".join(traceback.format_exception_only(error)).strip()
            lines.append({"says": code, "code": True, "holds": False, "error": said})
            if not code.startswith("tg.check_grads"):
                break  # what follows needs this line
    return lines


def judge_assert(node, source, names):
    """Judge one assert: what it says, whether it holds, and if not, what was got and expected."""

    def evaluate(expression, **sides):
        code = compile(ast.fix_missing_locations(ast.Expression(expression)), "the checks", "eval")
        return eval(code, {**names, **sides})

    line = {"says": ast.get_source_segment(source, node.test), "code": True, "holds": False}
    if node.msg:
        line |= {"says": evaluate(node.msg), "code": False}
    sides, sign, test = split(node.test)
    try:
        values = dict(zip(("got", "expected"), map(evaluate, sides)))
        line["holds"] = bool(evaluate(test, **values))
    except Exception as error:
        return line | {"error": "".join(traceback.format_exception_only(error)).strip()}
    if line["holds"]:
        return line
    if "expected" not in values:
        return line | {"got": short(values["got"])}
    where, got, expected = "", *values.values()
    if not sign:
        where, got, expected = difference(got, expected)
    told = [short(got), short(expected)]
    if told[0] == told[1]:  # they differ in later digits, or in their type
        told = [repr(got), repr(expected)]
    return line | {"got": where + told[0], "expected": where + sign + told[1]}


def split(test):
    """Take the two sides of a comparison, or of np.allclose, out of it: each is computed once."""
    got, expected = (ast.Name(name, ast.Load()) for name in ("got", "expected"))
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        sign = SIGNS.get(type(test.ops[0]).__name__, "")
        return [test.left, *test.comparators], sign, ast.Compare(got, test.ops, [expected])
    if isinstance(test, ast.Call) and getattr(test.func, "attr", "") in CLOSE:
        rest = ast.Call(test.func, [got, expected, *test.args[2:]], test.keywords)
        return test.args[:2], "", rest
    return [test], "", got


def difference(got, expected, index=()):
    """Follow lists and arrays to what differs first: an element, a length or a shape.

    >>> difference([1.0, [2.0, 3.0]], [1.0, [2.0, 3.5]])
    ('[1, 1]: ', 3.0, 3.5)
    >>> difference(np.ones(2), np.ones((2, 1)))
    ('shape: ', (2,), (2, 1))
    """
    where = f"{list(index)}: " if index else ""
    got, expected = (it.data if isinstance(it, tg.Tensor) else it for it in (got, expected))
    if isinstance(got, list) and isinstance(expected, list):
        if len(got) != len(expected):
            if len(repr(expected)) < LIMIT / 2:
                return where, got, expected
            return f"{where}length: ", len(got), len(expected)
        pairs = enumerate(zip(got, expected))
        wrong = (i for i, pair in pairs if not same(*pair))
        i = next(wrong, None)
        return (where, got, expected) if i is None else difference(got[i], expected[i], (*index, i))
    if isinstance(got, np.ndarray | list) or isinstance(expected, np.ndarray | list):
        got, expected = np.asarray(got), np.asarray(expected)
        if got.shape != expected.shape:
            return f"{where}shape: ", got.shape, expected.shape
        for i in np.argwhere(~np.isclose(got, expected, equal_nan=True))[:1].tolist():
            at = [*index, *i]
            return f"{at}: " if at else "", got[tuple(i)], expected[tuple(i)]
    return where, got, expected


def same(got, expected):
    """Tell whether two elements are equal, numbers up to rounding."""
    try:
        return np.shape(got) == np.shape(expected) and bool(np.allclose(got, expected))
    except (TypeError, ValueError):  # no numbers, or lists of many lengths
        return got == expected


def short(value):
    """Write a value, or the beginning of it; a number to 10 digits."""
    is_number = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim)
    value = value.item() if is_number else value
    text = repr(float(f"{value:.10g}") if isinstance(value, float) else value)
    return text if len(text) <= LIMIT else f"{text[:LIMIT]} …"
