"""Write a node of the computational graph as a person would: p = x · x, and its VJP, g · x.

A VJP is a lambda in the source. So its formula is read there, with the node's names or numbers in
the place of its parameters: what is shown is what ran.
"""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
from collections.abc import Iterable, Mapping
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_edu import backend
from tinygrad_edu.core import VJP, Variable

SIGNS = {"add": "+", "subtract": "−", "multiply": "·", "divide": "/", "power": "^", "matmul": "@"}
PLAIN = (bool, int, float, np.number)
LONG, LONG_NUMBERS = 28, 44  # characters: a longer formula is left out


def host(value: Any) -> Any:
    """Bring an array to the host, and leave a number as it is.

    >>> host(2.0)
    2.0
    """
    return backend.move(value, "numpy") if backend.is_array(value) else value


def show(value: Any) -> str:
    """Write a number, a few numbers that are short, or else the shape.

    >>> show(-0.25), show(np.array([1.0, 2.5])), show(np.ones((2, 3)))
    ('−0.25', '[1, 2.5]', '(2, 3)')
    """
    array = np.asarray(host(value.array if isinstance(value, Variable) else value))
    if array.size == 1:
        return f"{array.item():.4g}".replace("-", "−")
    numbers = ", ".join(f"{number:.3g}" for number in array.flat[:4])
    is_short = array.ndim == 1 and len(numbers) < 13 and array.size < 4
    return f"[{numbers}]".replace("-", "−") if is_short else str(array.shape)


def name_all(variables: Iterable[Variable], names: Mapping[str, Any]) -> dict[Variable, str]:
    """Name each as given, by the first name if there are several, and all others v₁, v₂ and so on.

    >>> x, y = Variable(3.0), Variable(9.0)
    >>> list(name_all([x, y], {"x": x, "b": 2.0}).values())
    ['x', 'v₁']
    """
    given: dict[Any, str] = {}
    for name, value in names.items():
        if isinstance(value, Variable):
            given.setdefault(value, name)
    subscripts, counts = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"), itertools.count(1)
    return {
        variable: given.get(variable) or f"v{str(next(counts)).translate(subscripts)}"
        for variable in variables
    }


def _word(value: Any, called: Mapping[Variable, str]) -> str:
    # The name of a Variable, a number of a constant; of an index or a shape, nothing.
    if isinstance(value, Variable):
        return called[value]
    return show(value) if isinstance(value, PLAIN) or backend.is_array(value) else ""


def equation(variable: Variable, called: Mapping[Variable, str]) -> str:
    """Write the operation that produced a Variable.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> y = tg.tanh(x)
    >>> equation(y, {x: "x", y: "y"})
    'y = tanh(x)'
    """
    name, node = called[variable], variable.node
    if node is None:
        return name
    operation = node.operation.name
    words = [_word(operand, called) for operand in node.operands]
    operands = [word for word in words if word and word[0] != "("]  # nor a constant's shape
    if operation in SIGNS and len(operands) == 2:
        return f"{name} = {operands[0]} {SIGNS[operation]} {operands[1]}"
    if operation == "negative":
        return f"{name} = −{operands[0]}"
    return f"{name} = {operation}({', '.join(operands)})"


def formula(vjp: VJP, variable: Variable, called: Mapping[Variable, str], g: Any) -> str:
    """Write a VJP with the names of its node put in, then the numbers; "" if it is none to read.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> p = x * x
    >>> formula(p.node.operation.vjps[0], p, {x: "x", p: "p"}, np.array(1.0))
    'g · x = 1 · 3'
    """
    node, text = variable.node, _source(vjp)
    assert node is not None
    if text is None:
        return ""
    parameters = [argument.arg for argument in text.args.args]
    names = ["g", *(_word(value, called) for value in (variable, *node.operands))]
    values = [_word(value, called) for value in (g, *node.values)]
    symbols, numbers = (_fill(text.body, parameters, words) for words in (names, values))
    if symbols == "g" or len(symbols) > LONG:
        return ""
    used = {part.id for part in ast.walk(text.body) if isinstance(part, ast.Name)}
    shapes = any(word[:1] == "(" for key, word in zip(parameters, values) if key in used)
    attributes = any(isinstance(part, ast.Attribute) for part in ast.walk(text.body))
    return (
        symbols if shapes or attributes or len(numbers) > LONG_NUMBERS else f"{symbols} = {numbers}"
    )


def _fill(body: ast.expr, parameters: list[str], words: list[str]) -> str:
    # Put words in the place of parameters; a negative number in parentheses.
    known = {key: f"({word})" if word[:1] == "−" else word for key, word in zip(parameters, words)}

    class Fill(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.Name:
            return ast.Name(known.get(name.id, name.id))

    text = ast.unparse(Fill().visit(ast.parse(ast.unparse(body), mode="eval")))
    return text.replace(" ** ", "^").replace(" * ", " · ").replace("-", "−")


def _source(vjp: Any) -> ast.Lambda | None:
    # Several may start in one line: take the one that compiles to the same code.
    code = getattr(vjp, "__code__", None)
    if code is None or vjp.__name__ != "<lambda>":
        return None
    for node in _lambdas("".join(linecache.getlines(code.co_filename))):
        if node.lineno == code.co_firstlineno:
            constants = compile(ast.Expression(node), "", "eval").co_consts
            made = next(value for value in constants if isinstance(value, CodeType))
            if (made.co_code, made.co_names) == (code.co_code, code.co_names):
                return node
    return None


@functools.lru_cache(8)
def _lambdas(text: str) -> list[ast.Lambda]:
    try:
        return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda)]
    except SyntaxError:  # a notebook's cell with commands in it
        return []
