"""Parameters, as a list of leaves, as one vector, by name."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.parameters import flatten, leaves, matched, split


def here(array):
    return tg.Tensor(array).data


def test_split_undoes_flatten_in_shapes_and_dtypes():
    arrays = [here(np.ones((2, 3), "float32")), here(np.zeros(())), here(np.zeros((0, 4)))]
    parts = split(flatten(arrays), arrays)
    for part, array in zip(parts, arrays, strict=True):
        assert (part.shape, part.dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(tg.Tensor(part).numpy(), tg.Tensor(array).numpy())


def test_the_parts_are_copies():
    vector = here([1.0, 2.0])
    (part,) = split(vector, [here(np.zeros((2, 1)))])
    part[0, 0] = 5
    assert tg.Tensor(vector).numpy().tolist() == [1, 2]


@pytest.mark.parametrize("length", [0, 2, 4])
def test_a_vector_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match=rf"shape \(3,\), but has \({length},\)"):
        split(here(np.zeros(length)), [here(np.zeros(2)), here(0.0)])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "there are no parameters"),
        (iter(()), ValueError, "used up"),
        ([1.0], TypeError, r"params\[0\] is a float"),
        ([tg.Tensor(1.0)], ValueError, r"params\[0\] is not a leaf"),
        ([tg.Tensor(1.0, requires_grad=True) * 2], ValueError, r"params\[0\] is not a leaf"),
        ([tg.Tensor(1.0, requires_grad=True)] * 2, ValueError, "twice"),
        (tg.nn.Linear(1, 1), TypeError, r"module\.parameters\(\)"),
    ],
)
def test_what_cannot_be_moved_is_no_parameter(params, error, message):
    with pytest.raises(error, match=message):
        leaves(params)


def test_a_single_leaf_is_a_list_of_one():
    w = tg.Tensor(1.0, requires_grad=True)
    assert leaves(w) == leaves(iter([w])) == [w]


def test_a_state_lists_all_its_differences():
    own = {"a": here([1.0]), "b": here([1]), "c": 2.0}
    with pytest.raises(ValueError, match="a is missing; b is float64.*int64.*; d is unknown here"):
        matched(own, {"b": here([1.0]), "c": 1.0, "d": 0})
    assert float(matched({"c": 2.0}, {"c": tg.Tensor(3.0)})["c"]) == 3
