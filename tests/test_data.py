"""Batches: each sample comes once an epoch, in an order that (seed, epoch) alone decides."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import DataLoader, TensorDataset


def numbered(length, batch_size=1, **options):
    """Load samples that are their own numbers."""
    return DataLoader(TensorDataset(np.arange(length)), batch_size, **options)


def epoch(loader):
    return [batch.numpy().tolist() for (batch,) in loader]


loaders = st.fixed_dictionaries(
    {
        "length": st.integers(0, 50),
        "batch_size": st.integers(1, 60),
        "shuffle": st.booleans(),
        "drop_last": st.booleans(),
        "seed": st.none() | st.integers(0, 2**70),
    }
)
each = settings(deadline=None, max_examples=100)


# Datasets


def test_a_dataset_is_as_long_as_its_arrays():
    assert len(TensorDataset(np.zeros((3, 2)), np.zeros(3))) == 3


def test_lengths_that_differ_are_refused_with_the_shapes():
    with pytest.raises(ValueError, match=r"one length.*\[\(3, 2\), \(4,\)\]"):
        TensorDataset(np.zeros((3, 2)), np.zeros(4))


def test_a_dataset_needs_an_array():
    with pytest.raises(ValueError, match=r"one length.*\[\]"):
        TensorDataset()


def test_a_single_number_has_no_length():
    with pytest.raises(ValueError, match=r"one length.*\[\(\), \(\)\]"):
        TensorDataset(1.0, 2.0)
    with pytest.raises(ValueError, match=r"one length.*\[\(2,\), \(\)\]"):
        TensorDataset([1.0, 2.0], 3.0)


@pytest.mark.parametrize(
    ("index", "first", "second"),
    [
        (1, [2, 3], 10),
        (-1, [4, 5], 20),
        (slice(1, None), [[2, 3], [4, 5]], [10, 20]),
        ([2, 0], [[4, 5], [0, 1]], [20, 0]),
    ],
)
def test_an_index_gives_a_tensor_of_each_array(index, first, second):
    samples = TensorDataset(np.arange(6).reshape(3, 2), np.array([0, 10, 20]))[index]
    assert [sample.numpy().tolist() for sample in samples] == [first, second]
    assert all(isinstance(sample, tg.Tensor) for sample in samples)


def test_a_dataset_copies_no_array():
    array = np.zeros((3, 2))
    assert np.shares_memory(TensorDataset(array).arrays[0], array)


# Every sample once


@each
@given(loaders)
def test_each_sample_comes_once_an_epoch(options):
    loader = numbered(**options | {"drop_last": False})
    for _ in range(3):
        assert sorted(itertools.chain(*epoch(loader))) == list(range(options["length"]))


@each
@given(loaders)
def test_drop_last_leaves_out_less_than_a_batch_and_repeats_nothing(options):
    loader = numbered(**options | {"drop_last": True})
    for _ in range(3):
        samples = list(itertools.chain(*epoch(loader)))
        assert len(set(samples)) == len(samples)
        assert len(samples) == options["length"] // options["batch_size"] * options["batch_size"]


@each
@given(loaders)
def test_all_batches_are_full_but_the_last(options):
    sizes = [len(batch) for batch in epoch(numbered(**options))]
    full = options["batch_size"]
    assert all(size == full for size in sizes[:-1])
    assert all(size == full if options["drop_last"] else 0 < size <= full for size in sizes[-1:])


@each
@given(loaders)
def test_the_length_is_the_number_of_batches(options):
    loader = numbered(**options)
    assert len(loader) == len(epoch(loader))


@pytest.mark.parametrize(
    ("drop_last", "batches"), [(False, [[0, 1, 2], [3, 4, 5], [6]]), (True, [[0, 1, 2], [3, 4, 5]])]
)
def test_the_last_batch_has_what_is_left_over(drop_last, batches):
    assert epoch(numbered(7, 3, drop_last=drop_last)) == batches


@pytest.mark.parametrize("drop_last", [False, True])
def test_nothing_is_left_over_where_the_batches_fit(drop_last):
    assert epoch(numbered(6, 3, drop_last=drop_last)) == [[0, 1, 2], [3, 4, 5]]


def test_a_batch_is_one_sample_unless_asked():
    assert epoch(numbered(3)) == [[0], [1], [2]]


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_arrays_stay_side_by_side(shuffle):
    dataset = TensorDataset(np.arange(20).reshape(10, 2), 10.0 * np.arange(10))
    for x, y in DataLoader(dataset, 3, shuffle, seed=0):
        assert (x.numpy()[:, 0] * 5 == y.numpy()).all()
        assert (x.numpy()[:, 1] == x.numpy()[:, 0] + 1).all()


# The order


def test_without_shuffling_the_order_is_the_datasets():
    loader = numbered(5, 2)
    assert epoch(loader) == epoch(loader) == [[0, 1], [2, 3], [4]]


def test_epochs_differ():
    loader = numbered(100, 100, shuffle=True, seed=0)
    orders = [tuple(epoch(loader)[0]) for _ in range(5)]
    assert len({*orders, tuple(range(100))}) == 6


def test_seeds_differ():
    orders = {tuple(epoch(numbered(100, 100, shuffle=True, seed=s))[0]) for s in range(5)}
    assert len(orders) == 5


def test_the_same_seed_gives_the_same_epochs():
    one, two = (numbered(100, 7, shuffle=True, seed=3) for _ in range(2))
    assert [epoch(one) for _ in range(3)] == [epoch(two) for _ in range(3)]


def test_an_epoch_does_not_depend_on_those_before_it():
    one, two = (numbered(100, 7, shuffle=True, seed=3) for _ in range(2))
    first = [epoch(one) for _ in range(3)]
    two.epoch = 2
    assert epoch(two) == first[2]
    two.epoch = 0
    assert epoch(two) == first[0]


def test_the_order_does_not_depend_on_the_batch_size():
    orders = {
        tuple(itertools.chain(*epoch(numbered(100, size, shuffle=True, seed=3))))
        for size in (1, 7, 100)
    }
    assert len(orders) == 1


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_order_of_any_epoch_can_be_asked_for(shuffle):
    loader = numbered(100, 7, shuffle=shuffle, seed=3)
    orders = [loader.order(number).tolist() for number in range(3)]
    assert loader.epoch == 0
    assert [list(itertools.chain(*epoch(loader))) for _ in range(3)] == orders


def test_the_epochs_are_counted():
    loader = numbered(5, 2)
    assert loader.epoch == 0
    epoch(loader)
    epoch(loader)
    assert loader.epoch == 2


def test_iterators_at_once_are_epochs_of_their_own():
    one, two = (numbered(100, 7, shuffle=True, seed=3) for _ in range(2))
    pairs = [(a.numpy().tolist(), b.numpy().tolist()) for (a,), (b,) in zip(one, one, strict=True)]
    assert [a for a, _ in pairs] == epoch(two)
    assert [b for _, b in pairs] == epoch(two)


def test_after_breaking_off_the_next_epoch_follows():
    one, two = (numbered(100, 7, shuffle=True, seed=3) for _ in range(2))
    next(iter(one))
    epoch(two)
    assert epoch(one) == epoch(two)


def test_without_a_seed_each_loader_has_another():
    assert numbered(5).seed != numbered(5).seed


def test_a_seed_that_is_drawn_is_one_of_very_many():
    # Half of all the numbers below 2⁶³ are above 2⁶²: that none of 100 is, happens once in 2¹⁰⁰.
    assert any(2**62 < numbered(5).seed < 2**63 for _ in range(100))


def test_a_seed_that_was_drawn_repeats_the_run():
    one = numbered(100, 7, shuffle=True)
    two = numbered(100, 7, shuffle=True, seed=one.seed)
    assert [epoch(one) for _ in range(3)] == [epoch(two) for _ in range(3)]


def test_a_seed_that_is_given_can_be_read():
    assert numbered(5, seed=3).seed == 3


def test_numpys_global_generator_is_neither_used_nor_moved():
    loader = numbered(100, 7, shuffle=True, seed=3)
    np.random.seed(0)
    first = epoch(loader)
    drawn = np.random.random()
    np.random.seed(0)
    assert drawn == np.random.random()
    loader.epoch = 0
    assert epoch(loader) == first


# What is refused


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_an_impossible_batch_size_is_refused(size):
    with pytest.raises(ValueError, match=f"batch_size must be .* but is {size}"):
        numbered(5, size)


@pytest.mark.parametrize("seed", [-1, 1.5])
def test_an_impossible_seed_is_refused(seed):
    with pytest.raises(ValueError, match=f"seed must be .* but is {seed}"):
        numbered(5, seed=seed)


# What a batch is


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_batches_keep_the_dtype(dtype, shuffle):
    for (batch,) in DataLoader(TensorDataset(np.ones((5, 2), dtype)), 2, shuffle):
        assert batch.dtype == dtype


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_tensors_without_a_gradient(shuffle):
    samples = tg.Tensor(np.ones(5), requires_grad=True) * 2
    for (batch,) in DataLoader(TensorDataset(samples), 2, shuffle):
        assert type(batch) is tg.Tensor
        assert not batch.requires_grad


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("home", ["numpy", None])
def test_batches_are_on_the_current_backend(home, shuffle):
    with tg.use(home or tg.backend.current()):
        dataset = TensorDataset(np.arange(5))
    for (batch,) in DataLoader(dataset, 2, shuffle):
        assert tg.backend.name_of(batch.data) == tg.backend.current()


def mapped(tmp_path):
    array = np.memmap(tmp_path / "samples", "float32", "w+", shape=(7, 2))
    array[:] = np.arange(14).reshape(7, 2)
    array.flush()
    return np.memmap(tmp_path / "samples", "float32", "r", shape=(7, 2))


def test_an_array_in_a_file_stays_there(tmp_path):
    samples = mapped(tmp_path)
    assert TensorDataset(samples).arrays[0] is samples


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_of_an_array_in_a_file_have_its_values(tmp_path, shuffle):
    loader = DataLoader(TensorDataset(mapped(tmp_path), np.arange(7)), 3, shuffle, seed=0)
    seen = []
    for x, y in loader:
        assert tg.backend.name_of(x.data) == tg.backend.current()
        assert x.dtype == "float32"
        assert x.numpy().tolist() == [[2 * place, 2 * place + 1] for place in y.numpy().tolist()]
        seen += y.numpy().tolist()
    assert sorted(seen) == list(range(7))


def test_a_batch_is_read_from_the_file_when_it_is_needed(tmp_path):
    loader = DataLoader(TensorDataset(mapped(tmp_path)), 4)
    batches = iter(loader)
    next(batches)
    later = np.memmap(tmp_path / "samples", "float32", "r+", shape=(7, 2))
    later[:] = 100
    later.flush()
    (batch,) = next(batches)
    assert (batch.numpy() == 100).all()


@pytest.mark.parametrize("lengths", [(2, 3), (3, 2)])
def test_a_later_array_may_be_neither_longer_nor_shorter(lengths):
    with pytest.raises(ValueError, match="arrays of one length"):
        tg.TensorDataset(*(np.ones(length) for length in lengths))


def test_a_batch_is_a_single_sample_unless_said():
    assert len(tg.DataLoader(tg.TensorDataset(np.ones(5)))) == 5
