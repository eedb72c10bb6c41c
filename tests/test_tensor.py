"""A Tensor looks and behaves like a NumPy array."""

import numpy as np
import pytest

import tinygrad_edu as tg

A = np.arange(6.0).reshape(2, 3)


def leaf(data, **options):
    return tg.Tensor(data, requires_grad=True, **options)


# Making


@pytest.mark.parametrize("data", [1, 1.5, True, [1, 2], [[1.0]], A, A.astype("float32"), A > 1])
def test_shape_and_dtype_are_those_numpy_would_choose(data):
    tensor, array = tg.Tensor(data), np.asarray(data)
    assert (tensor.shape, tensor.ndim, tensor.size) == (array.shape, array.ndim, array.size)
    assert tensor.dtype == array.dtype
    np.testing.assert_array_equal(tensor.numpy(), array)


def test_a_dtype_can_be_asked_for():
    assert leaf([1, 2], dtype="float32").dtype == "float32"


def test_a_tensor_of_a_tensor_has_its_value_but_not_its_graph():
    x = leaf(A) * 2
    assert tg.Tensor(x).data is x.data
    assert not tg.Tensor(x).requires_grad


@pytest.mark.parametrize(
    ("data", "message"),
    [("text", "str"), ([[1, 2], [3]], "inhomogeneous"), (1j, "complex"), ([None], "object")],
)
def test_only_real_numbers_make_a_tensor(data, message):
    with pytest.raises((TypeError, ValueError), match=message):
        tg.Tensor(data)


@pytest.mark.parametrize("data", [1, [1, 2], [True]])
def test_integers_cannot_require_a_gradient(data):
    with pytest.raises(TypeError, match="floating-point.*dtype=float"):
        leaf(data)


def test_a_value_is_always_an_array():
    x = leaf(3.0)
    for result in (x, x + 1, x * x, tg.exp(x), x.sum(), leaf(A).mean(), leaf(A)[0, 0], x.detach()):
        assert not isinstance(result.data, np.generic)
        assert result.data.shape == ()
    (x * x).backward()
    assert not isinstance(x.grad.data, np.generic)


# Operators


def test_arrays_numbers_and_lists_stand_on_either_side():
    x = leaf(A)
    for other in (2, 2.5, [1.0, 2.0, 3.0], tg.Tensor(A + 1).data):
        host = tg.backend.move(other, "numpy") if hasattr(other, "dtype") else np.asarray(other)
        if isinstance(other, list) and tg.backend.current() == "cupy":
            continue
        for result, expected in [
            (x + other, A + host), (other + x, host + A),
            (x - other, A - host), (other - x, host - A),
            (x * other, A * host), (other * x, host * A),
            (x / other, A / host), (other / (x + 1), host / (A + 1)),
            (x**other, A**host), (other**x, host**A),
        ]:  # fmt: skip
            assert isinstance(result, tg.Tensor)
            assert result.requires_grad
            np.testing.assert_allclose(result.numpy(), expected, rtol=1e-14)


def test_matrix_products_stand_on_either_side():
    x, array = leaf(A), tg.Tensor(A.T).data
    np.testing.assert_array_equal((x @ array).numpy(), A @ A.T)
    np.testing.assert_array_equal((array @ x).numpy(), A.T @ A)


def test_comparisons_are_elementwise_and_not_recorded():
    x = leaf([1.0, 2.0, 3.0])
    for result, expected in [
        (x < 2, [1, 0, 0]), (x <= 2, [1, 1, 0]), (x == 2, [0, 1, 0]),
        (x != 2, [1, 0, 1]), (x > 2, [0, 0, 1]), (2 <= x, [0, 1, 1]),
    ]:  # fmt: skip
        assert result.numpy().tolist() == expected
        assert not result.requires_grad


def test_a_tensor_is_hashed_by_identity():
    x, y = tg.Tensor([1.0]), tg.Tensor([1.0])
    assert len({x, y, x}) == 2


@pytest.mark.parametrize(
    "index",
    [0, -1, slice(1), (0, slice(None, None, -1)), ..., (None, 1), ([0, 1], [2, 0]), (..., [0, 0])],
)
def test_indexing_is_that_of_numpy(index):
    np.testing.assert_array_equal(tg.Tensor(A)[index].numpy(), A[index])


def test_tensors_can_be_indices():
    x = leaf(A)
    np.testing.assert_array_equal(x[x > 2].numpy(), A[A > 2])
    np.testing.assert_array_equal(x[0, tg.Tensor([2, 0])].numpy(), A[0, [2, 0]])


# Methods


def test_methods_are_those_of_numpy():
    x = leaf(A)
    for result, expected in [
        (x.T, A.T), (x.transpose(1, 0), A.T), (x.transpose((1, 0)), A.T), (x.transpose(), A.T),
        (x.reshape(3, 2), A.reshape(3, 2)), (x.reshape((-1,)), A.ravel()),
        (x.reshape(-1), A.ravel()), (x.sum(axis=0), A.sum(axis=0)), (x.sum((0, 1)), A.sum()),
        (x.mean(axis=1, keepdims=True), A.mean(axis=1, keepdims=True)),
        (x.var(ddof=1), A.var(ddof=1)), (x.max(axis=0), A.max(axis=0)), (x.min(), A.min()),
        (abs(-x), A), (x.astype("float32"), A.astype("float32")),
    ]:  # fmt: skip
        np.testing.assert_array_equal(result.numpy(), expected)
        assert result.dtype == expected.dtype


def test_len_iteration_and_item():
    x = leaf(A)
    assert len(x) == 2
    assert [row.numpy().tolist() for row in x] == A.tolist()
    first, second = leaf([1.0, 2.0])
    (first * second).backward()
    assert (first.item(), float(second)) == (1, 2)
    assert type(x[0, 1].item()) is float


def test_a_single_number_can_be_formatted_and_converted():
    x = leaf(2.5)
    assert (f"{x:.3f}", f"{x}", int(x), round(float(x))) == ("2.500", repr(x), 2, 2)
    with pytest.raises(ValueError, match=r"single element.*\(2, 3\)"):
        f"{leaf(A):.3f}"


def test_requires_grad_is_true_or_false():
    with pytest.raises(TypeError, match=r"True or False, but is 'float32'; dtype= goes by name"):
        tg.Tensor([1.0], "float32")


def test_a_single_number_cannot_be_iterated():
    with pytest.raises(TypeError, match=r"single number.*item\(\)"):
        iter(leaf(1.0))


def test_item_needs_a_single_element():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        leaf(A).item()


def test_truth_needs_a_single_element():
    assert tg.Tensor(1.0) > 0
    assert not tg.Tensor([0.0])
    with pytest.raises(ValueError, match=r"shape \(2, 3\) is neither true nor false"):
        bool(tg.Tensor(A) == A if tg.backend.current() == "numpy" else tg.Tensor(A))


# Ways out


def test_detach_shares_the_value_and_ends_the_graph():
    x = leaf(A)
    assert x.detach().data is x.data
    assert not (x * 2).detach().requires_grad


def test_numpy_comes_to_the_host():
    assert type((leaf(A) * 2).numpy()) is np.ndarray


def test_asarray_shares_the_value_of_a_constant():
    x = tg.Tensor(A)
    assert np.asarray(x) is x.data
    np.testing.assert_array_equal(np.asarray(x, dtype="float32"), A.astype("float32"))
    assert np.array(x, copy=True) is not x.data


def test_asarray_refuses_what_requires_a_gradient():
    with pytest.raises(TypeError, match=r"requires a gradient.*detach\(\)"):
        np.asarray(leaf(A))


def test_dlpack_out_and_in():
    torch = pytest.importorskip("torch")
    x = tg.Tensor(A)
    there = torch.from_dlpack(x)
    back = tg.Tensor(there + 1)
    np.testing.assert_array_equal(back.numpy(), A + 1)
    assert np.from_dlpack(x).base is not None
    with pytest.raises(TypeError, match="requires a gradient"):
        torch.from_dlpack(leaf(A))


# What is refused


def test_elements_cannot_be_set():
    with pytest.raises(TypeError, match=r"tg\.where.*tensor\.data"):
        leaf(A)[0] = 1


def test_in_place_operators_refuse_a_leaf_and_serve_a_sum():
    w = leaf(A)
    for operator in ("__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__", "__imatmul__"):
        with pytest.raises(TypeError, match=r"in-place operator on a leaf.*w\.data"):
            getattr(w, operator)(1)
    total = tg.Tensor(0.0)
    total += w.sum()
    total -= 1
    total *= 2
    total /= 4
    assert total.item() == 7
    total.backward()
    assert w.grad.numpy().tolist() == np.full((2, 3), 0.5).tolist()


def test_the_repr_shows_value_dtype_and_origin():
    assert repr(tg.Tensor([1, 2])) == "Tensor([1, 2], dtype=int64)"
    assert repr(leaf(1.5)) == "Tensor(1.5, dtype=float64, requires_grad=True)"
    assert repr(leaf([1.5]) * 2) == "Tensor([3.], dtype=float64, recorded by multiply)"
