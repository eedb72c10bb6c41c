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


FROM_A_FILE = [int, np.int64, np.uint8, np.array, lambda number: np.array(number, "uint32")]


@pytest.mark.parametrize("kind", FROM_A_FILE, ids=range(len(FROM_A_FILE)))
def test_settings_are_whole_numbers_of_any_kind_and_read_as_pythons(kind):
    loader = numbered(5, kind(2), seed=kind(3))
    loader.epoch = kind(4)
    settings = loader.batch_size, loader.seed, loader.epoch
    assert settings == (2, 3, 4)
    assert {type(setting) for setting in settings} == {int}
    loader.batch_size, loader.seed, loader.epoch = kind(1), kind(0), kind(0)
    assert (loader.batch_size, loader.seed, loader.epoch) == (1, 0, 0)


@pytest.mark.parametrize("kind", [bool, np.bool_, np.array, int])
@pytest.mark.parametrize("value", [False, True])
def test_switches_are_true_or_false_of_any_kind(kind, value):
    loader = numbered(5, shuffle=kind(value), drop_last=kind(value))
    assert loader.shuffle is loader.drop_last is value
    loader.shuffle = loader.drop_last = kind(not value)
    assert loader.shuffle is loader.drop_last is (not value)


IMPOSSIBLE = {
    "batch_size": [0, -1, 2.5, 2.0, None, "2", True, np.array(0), np.array([2]), np.float64(2)],
    "seed": [-1, 1.5, "3", True, np.array(-1), np.array(1.0), np.array([1]), [1]],
    "epoch": [-1, 1.5, None, True, np.array(-1), np.array([1])],
    "shuffle": [2, -1, None, "no", 0.0, [True], np.array([True])],
    "drop_last": [2, -1, None, "no", 0.0, [True], np.array([True])],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in IMPOSSIBLE.items() for value in values]
)
def test_what_is_impossible_is_refused_whenever_it_is_set_and_changes_nothing(name, value):
    loader = numbered(5, 2, shuffle=True, seed=3)
    before = vars(loader).copy()
    with pytest.raises(ValueError, match=f"^{name} must be "):
        setattr(loader, name, value)
    assert vars(loader) == before
    if name != "epoch":
        with pytest.raises(ValueError, match=f"^{name} must be "):
            numbered(5, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 3), ("shuffle", False), ("drop_last", True), ("seed", 9), ("epoch", 7)],
)
def test_an_epoch_that_has_begun_goes_on_with_what_it_began_with(name, value):
    one, two = (numbered(10, 4, shuffle=True, seed=3) for _ in range(2))
    expected = epoch(one)
    batches = iter(two)
    seen = [next(batches)[0].numpy().tolist()]
    setattr(two, name, value)
    assert seen + [batch.numpy().tolist() for (batch,) in batches] == expected
    setattr(one, name, value)
    assert epoch(two) == epoch(one)


def test_an_epoch_that_has_begun_keeps_its_dataset():
    loader = numbered(4, 2)
    batches = iter(loader)
    next(batches)
    loader.dataset = TensorDataset(np.arange(10) + 100)
    assert [batch.numpy().tolist() for (batch,) in batches] == [[2, 3]]
    assert epoch(loader)[0] == [100, 101]


def test_repr_shows_the_settings():
    assert repr(numbered(5, 2, seed=3)) == (
        "DataLoader(5 samples, batch_size=2, shuffle=False, drop_last=False, seed=3)"
    )


# States


@each
@given(loaders, st.integers(0, 3), st.integers(0, 60), st.booleans())
def test_a_loader_goes_on_from_its_state_with_the_next_batch(options, epochs, batches, by_array):
    one = numbered(**options)
    for _ in range(epochs):
        epoch(one)
    going_on = iter(one)
    taken = list(itertools.islice(going_on, batches))
    state = one.state_dict()
    rest = [batch.numpy().tolist() for (batch,) in going_on]
    if by_array:
        state = {name: np.asarray(value) for name, value in state.items()}  # as in a file
    two = numbered(**options | {"seed": 99})
    two.load_state_dict(state)
    assert two.seed == one.seed
    if rest or not taken:
        assert two.epoch == epochs
        assert epoch(two) == rest
    assert [epoch(two), epoch(two)] == [epoch(one), epoch(one)]
    assert two.epoch == one.epoch


@pytest.mark.parametrize("seed", [0, 2**63 - 1, 2**63, 2**64, 2**200 + 1])
def test_a_seed_of_any_size_goes_through_a_file(tmp_path, seed):
    tg.save(numbered(5, seed=seed).state_dict(), tmp_path / "loader.npz")
    other = numbered(5)
    other.load_state_dict(tg.load(tmp_path / "loader.npz"))
    assert other.seed == seed


def test_a_state_goes_on_after_the_same_samples_with_other_batches():
    one, two = numbered(10, 4, shuffle=True, seed=3), numbered(10, 3)
    two.shuffle = True
    next(iter(one))
    two.load_state_dict(one.state_dict())
    order = one.order(0).tolist()
    assert epoch(two) == [order[4:7], order[7:]]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"seed": 1, "epoch": 0},
        {"seed": 1, "epoch": 0, "samples": 0, "lr": 0.1},
        {"seed": -1, "epoch": 0, "samples": 0},
        {"seed": 1.5, "epoch": 0, "samples": 0},
        {"seed": 1, "epoch": -1, "samples": 0},
        {"seed": 1, "epoch": 0, "samples": 6},
        {"seed": 1, "epoch": 0, "samples": np.array(2.0)},
    ],
    ids=range(8),
)
def test_what_is_no_state_of_this_loader_is_refused_and_changes_nothing(wrong):
    loader = numbered(5, 2, shuffle=True, seed=3)
    next(iter(loader))
    before = vars(loader).copy()
    with pytest.raises(ValueError, match=r"state|must be|samples have come"):
        loader.load_state_dict(wrong)
    assert vars(loader) == before


# Other datasets


class Squares:
    """Has a length and samples, and that is all."""

    def __init__(self, length, sample):
        self.length, self.sample, self.asked = length, sample, []

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.asked.append(index)
        return self.sample(index)


SAMPLES = {
    "number": (lambda i: i * i, "int64", ()),
    "float": (lambda i: i * 0.5, "float64", ()),
    "array": (lambda i: np.float32([i, -i]), "float32", (2,)),
    "tensor": (lambda i: tg.Tensor([[float(i)]], requires_grad=True) * 2, "float64", (1, 1)),
    "0-d array": (lambda i: np.array(i, "uint8"), "uint8", ()),
}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", SAMPLES)
def test_any_dataset_with_a_length_and_samples_is_loaded(kind, shuffle):
    sample, dtype, shape = SAMPLES[kind]
    for as_tuple in (False, True):
        made = (lambda i: (sample(i), i)) if as_tuple else sample
        dataset = Squares(7, made)
        loader = DataLoader(dataset, 3, shuffle, seed=0)
        batches = list(loader)
        assert all(len(batch) == 1 + as_tuple for batch in batches)
        assert [len(batch[0]) for batch in batches] == [3, 3, 1]
        order = loader.order(0).tolist()
        assert dataset.asked == order
        assert all(type(index) is int for index in dataset.asked)
        found = [row.numpy().tolist() for batch in batches for row in batch[0]]
        assert found == [tg.Tensor(sample(index)).numpy().tolist() for index in order]
        for x in (batch[0] for batch in batches):
            assert (x.dtype, x.shape[1:], x.requires_grad) == (dtype, shape, False)
            assert tg.backend.name_of(x.data) == tg.backend.current()


def test_a_list_of_samples_is_a_dataset():
    samples = [(np.array([1.0, 2.0]), 0), (np.array([3.0, 4.0]), 1)]
    ((x, labels),) = DataLoader(samples, 2)
    assert x.numpy().tolist() == [[1, 2], [3, 4]]
    assert labels.numpy().tolist() == [0, 1]


class Doubled(TensorDataset):
    def __getitem__(self, index):
        (x,) = super().__getitem__(index)
        return (x * 2,)


class First(TensorDataset):
    def __len__(self):
        return 3


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_subclass_that_makes_its_samples_itself_is_asked(shuffle):
    for (x,) in DataLoader(Doubled(np.arange(7)), 3, shuffle):
        assert (x.numpy() % 2 == 0).all()
    samples = [x.numpy().tolist() for (x,) in DataLoader(Doubled(np.arange(7)), 3, shuffle)]
    assert sorted(itertools.chain(*samples)) == list(range(0, 14, 2))
    firsts = epoch(DataLoader(First(np.arange(7)), 2, shuffle))
    assert sorted(itertools.chain(*firsts)) == [0, 1, 2]


class Backwards(DataLoader):
    def order(self, epoch):
        return np.arange(len(self.dataset))[::-1]


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_order_of_a_subclass_is_kept_to(shuffle):
    assert epoch(Backwards(TensorDataset(np.arange(5)), 2, shuffle)) == [[4, 3], [2, 1], [0]]


@pytest.mark.parametrize(
    "samples",
    [[np.zeros(2), np.zeros(3)], [(1, 2), (1,)], ["a", "b"], [{"x": 1}, {"x": 2}]],
    ids=["shapes", "numbers of parts", "text", "dictionaries"],
)
def test_samples_that_make_no_batch_are_an_error(samples):
    with pytest.raises((TypeError, ValueError)):
        list(DataLoader(samples, 2))


def test_the_order_goes_to_the_device_once_an_epoch(monkeypatch):
    loader = DataLoader(
        TensorDataset(np.arange(9), np.arange(9.0), np.zeros((9, 2))), 2, shuffle=True
    )
    moved, move = [], tg.backend.move
    monkeypatch.setattr(
        tg.backend, "move", lambda array, name: (moved.append(len(array)), move(array, name))[1]
    )
    for _ in loader:
        pass
    assert moved == [9]


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
