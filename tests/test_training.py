"""The loop that trains, runs that go on from a file, and the score of a network."""

from itertools import chain, islice

import numpy as np
import pytest

import tinygrad_edu as tg

nan = float("nan")


def numbered(length, batch_size=1, **options):
    return tg.DataLoader(tg.TensorDataset(np.arange(float(length))), batch_size, **options)


def training(loader, **options):
    """Train a single number, whatever the loss; return it and the updates."""
    w = tg.Tensor(0.0, requires_grad=True)
    return w, tg.updates(lambda x: ((w - x) ** 2).mean(), loader, tg.SGD([w], 0.1), **options)


def batches(updates, count=None):
    return [batch.numpy().tolist() for _, batch in islice(updates, count)]


# The loop


def test_each_update_is_a_batch_of_the_loader_epoch_after_epoch():
    _, updates = training(numbered(5, 2, shuffle=True, seed=0))
    other = numbered(5, 2, shuffle=True, seed=0)
    expected = [batch.numpy().tolist() for _ in range(3) for (batch,) in other]
    assert batches(updates, 9) == expected


def test_the_loss_is_the_one_before_the_update_and_has_no_history():
    w, updates = training(numbered(1))
    w.data = np.full_like(w.data, 2.0)
    loss, _ = next(updates)
    assert loss.item() == 4
    assert not loss.requires_grad
    assert w.item() == pytest.approx(2 - 0.1 * 4)


def test_between_gradients_and_step_there_is_a_place_to_change_them():
    w, seen = tg.Tensor(0.0, requires_grad=True), []

    def clip(loss, x):
        seen.append((loss.item(), x.item(), w.grad.item()))
        w.grad = tg.Tensor(1.0)

    loader = tg.DataLoader(tg.TensorDataset([4.0]))
    updates = tg.updates(lambda x: ((w - x) ** 2).sum(), loader, tg.SGD([w], 0.5), clip)
    next(updates)
    assert seen == [(16, 4, -8)]
    assert w.item() == -0.5


def test_called_again_it_goes_on_where_it_stopped():
    loader = numbered(10, 3, shuffle=True, seed=0)
    whole = batches(training(numbered(10, 3, shuffle=True, seed=0))[1], 12)
    parts = [batches(training(loader)[1], count) for count in (1, 2, 3, 5, 1)]
    assert list(chain(*parts)) == whole


def test_an_epoch_that_is_set_is_begun_anew():
    loader = numbered(10, 3, shuffle=True, seed=0)
    batches(training(loader)[1], 6)
    loader.epoch = 1
    assert batches(training(loader)[1], 3) == [
        loader.order(1)[start : start + 3].tolist() for start in (0, 3, 6)
    ]


def test_a_list_of_batches_is_a_loader_too():
    _, updates = training([(tg.Tensor([1.0]),), (tg.Tensor([2.0]),)])
    assert batches(updates, 3) == [[1], [2], [1]]


class Shrinking:
    """A dataset that is empty from the second epoch on."""

    def __init__(self):
        self.length = 4

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.length = 0
        return float(index)


@pytest.mark.parametrize(
    ("make", "before"),
    [
        (lambda: numbered(0), 0),
        (lambda: numbered(3, 5, drop_last=True), 0),
        (list, 0),
        (lambda: iter([(tg.Tensor([1.0]),), (tg.Tensor([2.0]),)]), 2),
        (lambda: tg.DataLoader(Shrinking(), 2), 2),
    ],
    ids=["empty", "smaller than a batch", "list", "used up", "shrinks"],
)
def test_a_loader_that_has_no_batch_is_an_error_whenever_it_happens(make, before):
    _, updates = training(make())
    assert len(batches(updates, before)) == before
    with pytest.raises(ValueError, match="there is no batch in"):
        next(updates)


def test_batches_that_become_impossible_later_are_an_error():
    loader = numbered(5, 2, drop_last=True)
    _, updates = training(loader)
    assert batches(updates, 2) == [[0, 1], [2, 3]]
    loader.batch_size = 6
    with pytest.raises(
        ValueError,
        match=r"no batch in DataLoader\(5 samples, batch_size=6, shuffle=False, drop_last=True, se",
    ):
        next(updates)


# Runs that go on from a file


class Run:
    """All that a run consists of; its data need no more than the current backend."""

    def __init__(self, seed, nesterov, batch_size):
        generator = np.random.default_rng(1)
        x = generator.normal(size=(7, 3)).astype("float32")
        dataset = tg.TensorDataset(x, (x[:, 0] > x[:, 1]).astype("int64"))
        self.model = tg.nn.perceptron(3, 4, 2, seed=seed)
        self.optimizer = tg.Momentum(self.model.parameters(), 0.1, 0.9, nesterov)
        self.loader = tg.DataLoader(dataset, batch_size, shuffle=True, seed=seed)
        self.parts = {"model": self.model, "optimizer": self.optimizer, "loader": self.loader}

    def train(self, count):
        def loss(x, labels):
            return tg.cross_entropy(self.model(x), labels)

        steps = tg.updates(loss, self.loader, self.optimizer)
        return [step[0].item() for step in islice(steps, count)]

    def save(self, path):
        states = {name: part.state_dict() for name, part in self.parts.items()}
        tg.save(
            {f"{part}.{name}": value for part, state in states.items()
             for name, value in state.items()}, path
        )  # fmt: skip

    def load(self, path):
        state = tg.load(path)
        for name, part in self.parts.items():
            own = {key.partition(".")[2]: value for key, value in state.items() if
                   key.startswith(f"{name}.")}  # fmt: skip
            part.load_state_dict(own)

    def values(self):
        return [leaf.numpy().tobytes() for leaf in self.model.parameters()]


def test_a_run_goes_on_from_a_file_at_any_batch_of_any_epoch_bit_for_bit(tmp_path):
    for case in range(200):
        generator = np.random.default_rng(case)
        nesterov, batch_size = bool(case % 2), int(generator.integers(1, 9))
        before, after = generator.integers(0, 15, 2).tolist()
        run = Run(case, nesterov, batch_size)
        run.train(before)
        run.save(tmp_path / "run.npz")
        losses = run.train(after)

        other = Run(case + 1, nesterov, batch_size)
        other.load(tmp_path / "run.npz")
        assert other.train(after) == losses, case
        assert other.values() == run.values(), case
        whole = Run(case, nesterov, batch_size)
        whole.train(before + after)
        assert whole.values() == run.values(), case


# The score


@pytest.mark.parametrize(
    ("scores", "labels", "accuracy"),
    [
        ([[nan, nan], [nan, nan]], [0, 0], 0),
        ([[nan, 1.0], [2.0, 1.0]], [0, 0], 0.5),
        ([[1.0, nan], [2.0, 1.0]], [1, 0], 0.5),
        ([[3.0, nan], [nan, 3.0]], [0, 1], 0),
        ([[1.0, 2.0], [2.0, 1.0]], [1, 0], 1),
    ],
)
def test_a_score_that_is_not_a_number_is_not_right(scores, labels, accuracy):
    with np.errstate(invalid="ignore"):
        score = tg.evaluate(tg.nn.Sequential(), tg.TensorDataset(scores, labels))
    assert score.accuracy == accuracy


@pytest.mark.parametrize("dataset", [tg.TensorDataset(np.zeros((0, 2)), np.zeros(0, int)), []])
def test_an_empty_dataset_has_no_score(dataset):
    with pytest.raises(ValueError, match="the dataset is empty"):
        tg.evaluate(tg.nn.Sequential(), dataset)


def test_any_dataset_has_a_score():
    samples = [(np.array([9.0, 0.0]), 0), (np.array([0.0, 9.0]), 0), (np.array([0.0, 9.0]), 1)]
    assert tg.evaluate(tg.nn.Sequential(), samples).accuracy == 2 / 3
