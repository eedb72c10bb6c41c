"""check_grads finds wrong derivatives, and accepts right ones."""

import numpy as np
import pytest

import tinygrad_edu as tg


def test_right_derivatives_pass_at_every_order():
    tg.check_grads(lambda x: tg.exp(tg.sin(x)), np.array([0.3, 1.2]), order=4)


def test_a_wrong_first_derivative_is_named():
    @tg.op(lambda g, y, a, b: g * b, lambda g, y, a, b: g * b)
    def product(a, b):
        return a * b

    with pytest.raises(AssertionError, match=r"derivative 1 of product .* inputs\[1\]\[\(0,\)\]"):
        tg.check_grads(product, [2.0, np.array([3.0])])


def test_a_wrong_second_derivative_is_found_though_the_first_is_right():
    @tg.op(lambda g, y, x: g * (2 * tg.Tensor(x).data))  # forgets that the slope depends on x
    def square(x):
        return x * x

    tg.check_grads(square, np.array([1.0]), order=1)
    with pytest.raises(AssertionError, match="derivative 2"):
        tg.check_grads(square, np.array([1.0]), order=2)


def test_one_wrong_element_is_enough():
    @tg.op(lambda g, y, x: g * tg.backend.asarray([2.0, 2.0, 2.001]))
    def double(x):
        return 2 * x

    with pytest.raises(AssertionError, match=r"\(2,\)"):
        tg.check_grads(double, np.ones(3))


def test_a_wrong_slope_is_found_beside_a_much_larger_one():
    wrong = tg.op(lambda g, y, x: 1.5 * g)(lambda x: 1.0 * x)
    with pytest.raises(AssertionError, match=r"inputs\[1\]"):
        tg.check_grads(lambda a, b: a * 1e8 + wrong(b), [1.0, 1.0], order=1)


def test_a_derivative_that_is_not_a_number_is_found():
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match="nan|inf"):
        tg.check_grads(tg.sqrt, 0.0)


def test_functions_without_a_derivative_have_derivative_zero():
    tg.check_grads(lambda x: x * 0 + 1, 2.0, order=3)
    tg.check_grads(lambda x: (x > 1).astype("float64"), 2.0, order=2)


def test_several_results_are_checked_if_stacked():
    tg.check_grads(lambda x: tg.stack([x, x * x]), np.array([1.0, 2.0]))
