"""Ranks that MPI really starts make the steps of one process, or end, all of them, with a message.

Where MPI is not installed, most of this is skipped.
"""

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from itertools import islice

import numpy as np
import pytest

import tinygrad_edu as tg

needs_mpi = pytest.mark.skipif(not find_spec("mpi4py"), reason="MPI is not installed")

PROBLEM = f"""
BACKEND = {tg.backend.current()!r}"""  # that the ranks compute on
PROBLEM += """
import os
import signal
import sys

import numpy as np
import tinygrad_edu as tg

signal.alarm(40)  # nothing stays behind, whatever goes wrong
tg.use(BACKEND)
generator = np.random.default_rng(0)
N = 97  # three batches of 32, and a last one of a single sample
INPUTS = generator.normal(size=(N, 5))
LABELS = generator.integers(3, size=N)


def network(seed):
    generator = np.random.default_rng(seed)
    layers = tg.nn.Linear(5, 7, generator, np.float64), tg.nn.Tanh()
    return tg.nn.Sequential(*layers, tg.nn.Linear(7, 3, generator, np.float64))


def loss_of(model):
    return lambda x, labels: tg.cross_entropy(model(x), labels)


def host(value):
    return tg.backend.move(value, "numpy")
"""
ONE = {"__name__": "one"}
exec(PROBLEM.replace("signal.alarm(40)", ""), ONE)
WORKER = f"""{PROBLEM}
from tinygrad_edu import distributed
from tinygrad_edu.distributed import world
"""
OPEN_MPI = {  # more ranks than cores, and in containers
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def launch(folder, ranks, code, head=WORKER, **environment):
    """Run code on so many ranks. A time-out is a failure: it means that somebody waits."""
    from tinygrad_edu import distributed

    script = folder / "worker.py"
    script.write_text(head + textwrap.dedent(code), encoding="utf-8")
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)  # what the tests themselves import
    done = subprocess.run(
        distributed.command(ranks, str(script)),
        cwd=folder,
        env=os.environ | threads | OPEN_MPI | environment,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert "Alarm clock" not in done.stdout + done.stderr, done.stderr  # they waited
    return done


def succeed(folder, ranks, code, **environment):
    done = launch(folder, ranks, code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def results(folder, ranks, code):
    """Run code that ends in `results = {name: array}`, and return that of every rank."""
    save = "\nfound = {name: host(value) for name, value in results.items()}\n"
    save += "np.savez(f'{world.rank}.npz', **found)\n"
    succeed(folder, ranks, textwrap.dedent(code) + save)
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(ranks)]


def same_everywhere(found):
    first, *others = found
    for other in others:
        for name, array in first.items():
            assert array.tobytes() == other[name].tobytes(), name
    return first


# ── The same as one process ──────────────────────────────────────────────────────────────────────

TRAIN = """
from itertools import islice

model = network(seed=world.rank)  # only rank 0's weights count
loader = distributed.ShardedLoader(tg.TensorDataset(INPUTS, LABELS), 32, shuffle=True, seed=5)
optimizer = tg.Momentum(model.parameters(), lr=0.3, momentum=0.9)
steps = distributed.updates(loss_of(model), loader, optimizer)
losses = [loss for loss, x, labels in islice(steps, 2 * len(loader))]
results = dict(losses=losses, weights=tg.nn.parameters_to_vector(model.parameters()))
"""


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_updates_are_those_of_one_process_and_the_same_every_time(ranks, tmp_path):
    model = ONE["network"](seed=0)
    loader = tg.DataLoader(tg.TensorDataset(ONE["INPUTS"], ONE["LABELS"]), 32, shuffle=True, seed=5)
    optimizer = tg.Momentum(model.parameters(), lr=0.3, momentum=0.9)
    steps = tg.updates(ONE["loss_of"](model), loader, optimizer)
    losses = [step[0].item() for step in islice(steps, 2 * len(loader))]

    found = same_everywhere(results(tmp_path, ranks, TRAIN))
    assert len(losses) == 8
    np.testing.assert_allclose(found["losses"], losses, rtol=0, atol=1e-12)
    weights = ONE["host"](tg.nn.parameters_to_vector(model.parameters()))
    np.testing.assert_allclose(found["weights"], weights, rtol=0, atol=1e-12)
    again = same_everywhere(results(tmp_path, ranks, TRAIN))
    same_everywhere([found, again])


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_the_shards_are_the_batches(ranks, tmp_path):
    shards = results(
        tmp_path,
        ranks,
        """
        loader = distributed.ShardedLoader(tg.TensorDataset(np.arange(50)), 16, shuffle=True)
        batches = [batch.numpy() for epoch in range(2) for batch, in loader]
        results = {str(place): batch for place, batch in enumerate(batches)} | {"seed": loader.seed}
        """,
    )
    assert len({int(found["seed"]) for found in shards}) == 1  # drawn by rank 0
    loader = tg.DataLoader(
        tg.TensorDataset(np.arange(50)), 16, shuffle=True, seed=shards[0]["seed"].item()
    )
    batches = [batch.numpy() for _ in range(2) for (batch,) in loader]
    for place, batch in enumerate(batches):
        parts = [found[str(place)] for found in shards]
        np.testing.assert_array_equal(np.concatenate(parts), batch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_products_with_the_hessian_and_lanczos_are_those_of_one_process(ranks, tmp_path):
    found = same_everywhere(
        results(
            tmp_path,
            ranks,
            """
            model = network(seed=0)
            x, labels = tg.TensorDataset(INPUTS, LABELS)[distributed.shard(0, N)]
            loss = lambda: tg.cross_entropy(model(x), labels)
            H = distributed.ShardedHessian(loss, model.parameters(), samples=len(x))
            diagonal, offdiagonal, Q = tg.lanczos(H, steps=12)
            pairs = tg.extreme_eigenpairs(H, k=2)
            results = dict(
                gradient=H.gradient,
                product=H @ np.arange(H.shape[0]),
                matvec=H.matvec(np.ones(H.shape[0])),
                diagonal=diagonal,
                offdiagonal=offdiagonal,
                values=pairs.values,
                counted=tg.classify_critical_point(H, H.gradient, tol=1.0).lowest,
                escape=tg.escape_direction(H),
            )
            """,
        )
    )
    model = ONE["network"](seed=0)
    loss = ONE["loss_of"](model)
    batch = tg.TensorDataset(ONE["INPUTS"], ONE["LABELS"])[:]
    H = tg.HessianOperator(lambda: loss(*batch), model.parameters())
    diagonal, offdiagonal, _ = tg.lanczos(H, steps=12)
    expected = {
        "gradient": H.gradient,
        "product": H @ np.arange(H.shape[0]),
        "matvec": H.matvec(np.ones(H.shape[0])),
        "diagonal": diagonal,
        "offdiagonal": offdiagonal,
        "values": tg.extreme_eigenpairs(H, k=2).values,
        "counted": tg.classify_critical_point(H, H.gradient, tol=1.0).lowest,
    }
    expected = {name: ONE["host"](value) for name, value in expected.items()}
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-12, err_msg=name)
    for name in ("gradient", "product"):
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-12)
    assert abs(found["escape"] @ ONE["host"](tg.escape_direction(H))) > 1 - 1e-9


# ── One state for all ranks ────────────────────────────────────────────────────────────────────

SETUP = """
from itertools import islice

first, last = world.rank == 0, world.rank == world.size - 1
model = network(seed=0)
data = tg.TensorDataset(INPUTS, LABELS)
loader = distributed.ShardedLoader(data, 32, shuffle=True, seed=5)
optimizer = tg.Momentum(model.parameters(), lr=0.3, momentum=0.9)

def train(count):
    steps = distributed.updates(loss_of(model), loader, optimizer)
    return [loss for loss, *_ in islice(steps, count)]

def weights():
    return tg.nn.parameters_to_vector(model.parameters())
"""

RESUME = f"""{SETUP}
if first:
    train_alone = tg.updates(loss_of(model), tg.DataLoader(data, 32, True, seed=5), optimizer)
    list(islice(train_alone, 6))  # in the middle of the second epoch
    loader.load_state_dict({{"seed": 5, "epoch": 1, "samples": 64}})
losses = train(5)
results = dict(losses=losses, weights=weights(), m=optimizer.m[0], lr=optimizer.lr)
"""


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_what_rank_0_has_loaded_is_given_to_all(ranks, tmp_path):
    """Weights, momentum, rates and the place in the epoch: the run goes on as of one process."""
    model = ONE["network"](seed=0)
    loader = tg.DataLoader(tg.TensorDataset(ONE["INPUTS"], ONE["LABELS"]), 32, shuffle=True, seed=5)
    optimizer = tg.Momentum(model.parameters(), lr=0.3, momentum=0.9)
    losses = [
        step[0].item() for step in islice(tg.updates(ONE["loss_of"](model), loader, optimizer), 11)
    ]

    found = same_everywhere(results(tmp_path, ranks, RESUME))
    np.testing.assert_allclose(found["losses"], losses[6:], rtol=0, atol=1e-12)
    weights = ONE["host"](tg.nn.parameters_to_vector(model.parameters()))
    np.testing.assert_allclose(found["weights"], weights, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["m"], ONE["host"](optimizer.m[0]), rtol=0, atol=1e-12)


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_settings_and_states_that_differ_at_the_start_become_those_of_rank_0(ranks, tmp_path):
    code = f"""{SETUP}
optimizer.lr, optimizer.momentum = 0.3 * (1 + world.rank), 0.9 / (1 + world.rank)
optimizer.m = [m + world.rank for m in optimizer.m]
train(5)
results = dict(weights=weights(), lr=optimizer.lr, momentum=optimizer.momentum, m=optimizer.m[0])
"""
    found = same_everywhere(results(tmp_path, ranks, code))
    assert (found["lr"], found["momentum"]) == (0.3, 0.9)
    one = same_everywhere(results(tmp_path, 1, code))
    for name, array in one.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-12)


@needs_mpi
def test_a_module_is_broadcast_with_its_frozen_layers_and_constants(tmp_path):
    succeed(
        tmp_path,
        2,
        """
        class Scaled(tg.nn.Module):
            def __init__(self):
                self.layer = tg.nn.Linear(2, 2, seed=world.rank, dtype="float16")
                self.frozen = tg.Tensor(np.full(3, world.rank / 3))
                self.count = tg.Tensor(2**53 + 1 + world.rank)
                self.on = tg.Tensor(np.array([world.rank == 0]))

        module = Scaled()
        distributed.broadcast(module)
        layer = tg.nn.Linear(2, 2, seed=0, dtype="float16")
        assert (module.layer.weight.data == layer.weight.data).all()
        assert (module.frozen.data == 0).all()
        assert module.count.item() == 2**53 + 1
        assert module.on.item() is True
        """,
    )


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_a_schedule_that_all_ranks_keep_is_no_difference(ranks, tmp_path):
    code = f"""{SETUP}
steps = distributed.updates(loss_of(model), loader, optimizer)
for number, _ in enumerate(islice(steps, 6)):
    optimizer.lr = 0.3 / (1 + number)
results = dict(weights=weights())
"""
    same_everywhere(results(tmp_path, ranks, code))


CHANGES = {  # what the last rank does after two updates, and what is said
    "optimizer.lr = 0.1": ["'lr': 0.3", "'lr': 0.1"],
    "optimizer.momentum = 0.5": ["'momentum': 0.9", "'momentum': 0.5"],
    "optimizer.nesterov = True": ["'nesterov': False", "'nesterov': True"],
    "optimizer.m[0] = optimizer.m[0] + 1": ["weights and a state with checksum"],
    "optimizer.load_state_dict(optimizer.state_dict() | {'lr': 0.2})": ["'lr': 0.3", "'lr': 0.2"],
    "model.load_state_dict(network(seed=9).state_dict())": ["weights and a state with checksum"],
    "model.parameters()[0].data = model.parameters()[0].data + 1e-15": ["from weights"],
    "optimizer.params.pop()": ["averages the gradients"],
    "loader.batch_size = 16": ["batch_size=32", "batch_size=16"],
    "loader.shuffle = False": ["shuffle=True", "shuffle=False"],
    "loader.drop_last = True": ["drop_last=False", "drop_last=True"],
    "loader.seed = 6": ["seed=5", "seed=6"],
    "loader.epoch = 7": ["trains in epoch 0", "trains in epoch 6"],
    "loader.dataset = tg.TensorDataset(INPUTS[1:], LABELS[1:])": ["97 samples", "96 samples"],
}
DIFFERENCES = {  # from the start: n is 1 on the last rank, and 0 on the others
    "distributed.ShardedLoader(tg.TensorDataset(INPUTS, LABELS[:: 1 - 2 * n]), 8)": [
        "loads 97 samples",
        "with checksum",
    ],
    "distributed.ShardedLoader(tg.TensorDataset(INPUTS[n:]), 8)": ["loads 97", "loads 96 samples"],
    "distributed.ShardedLoader(tg.TensorDataset(INPUTS), 8 + n)": ["batch_size=8", "batch_size=9"],
    "distributed.ShardedLoader(tg.TensorDataset(INPUTS), 8, bool(n), seed=0)": [
        "shuffle=False",
        "shuffle=True",
    ],
    "next(distributed.updates(loss_of(model), loader, [optimizer, tg.SGD([p], 1)][n]))": [
        "broadcasts [float64 (5, 7),",
        "broadcasts [float64 (3,)]",
    ],
    "next(distributed.updates(loss_of(deep), loader, tg.SGD(reordered, 1)))": [
        "rank 0 computes its loss from the parameters [2, 0, 1], in this order, and rank",
        "from [2, 1, 0]",
    ],
    "broadcast([tg.Momentum([p], 1, 0.5), tg.SGD([p], 1)][n])": [
        "broadcasts a Momentum with lr",
        "broadcasts a SGD with lr",
    ],
    "distributed.broadcast(tg.nn.Sequential(*[tg.nn.ReLU()] * n, tg.nn.Linear(2, 2)))": [
        "broadcasts a Sequential with layers.0.weight: float32 (2, 2)",
        "with layers.1.weight: float32 (2, 2)",
    ],
    "vars(plain).update(dict.fromkeys(['ab', 'ba'][n])) or fill(plain) or broadcast(plain)": [
        "with a: float64 (3,), b: float64 (3,)",
        "with b: float64 (3,), a: float64 (3,)",
    ],
    "distributed.ShardedHessian(f(n / 1e9), [p], 1)": ["takes the Hessian at weights"],
    "tg.lanczos(distributed.ShardedHessian(f(0), [p], 1), steps=3, seed=n)": [
        "multiplies the Hessian with a vector with checksum"
    ],
}


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_what_one_rank_changes_or_has_alone_is_refused_on_all_with_a_message(ranks, tmp_path):
    code = f"""
    n = int(last)
    plain = tg.nn.Module()
    broadcast = distributed.broadcast
    p = tg.Tensor(np.ones(3), requires_grad=True)
    a, b, c = (tg.Tensor(np.eye(5), requires_grad=True) for _ in range(3))
    reordered = [b, a, c] if last else [a, b, c]

    def deep(x):
        return x @ c @ a @ b

    def fill(module):
        for name in vars(module):
            setattr(module, name, tg.Tensor(np.ones(3)))

    def f(more):
        p.data = tg.Tensor(np.ones(3) + more).data
        return lambda: (p**3).sum()

    def changed(line):
        model.load_state_dict(network(seed=0).state_dict())
        loader = distributed.ShardedLoader(data, 32, shuffle=True, seed=5)
        optimizer = tg.Momentum(model.parameters(), lr=0.3, momentum=0.9)
        steps = distributed.updates(loss_of(model), loader, optimizer)
        for number, _ in enumerate(islice(steps, 10)):
            if number == 1 and last:
                exec(line, globals() | locals())

    def refused(messages, call, *arguments):
        try:
            call(*arguments)
        except RuntimeError as error:
            said = str(error).replace(" on cupy", "")
            assert said.startswith("all ranks must do the same"), said
            assert all(message in said for message in messages), said
        else:
            raise AssertionError(f"nobody has noticed {{arguments}}")

    for line, messages in {CHANGES}.items():
        refused(messages, changed, line)
    for line, messages in {DIFFERENCES}.items():
        refused(messages, lambda: eval(line, globals()))
    changed("")
    """
    succeed(tmp_path, ranks, SETUP + textwrap.dedent(code))


@needs_mpi
def test_any_dataset_is_split_and_a_rank_may_have_nothing_of_a_batch(tmp_path):
    """Nine samples in batches of four: the last has one, for four ranks."""
    succeed(
        tmp_path,
        4,
        """
        from itertools import islice

        def losses(updates, loader):
            samples = [(np.array([i, 1.0]), float(i)) for i in range(9)]
            w = tg.Tensor([0.0, 0.0], requires_grad=True)
            optimizer, loss = tg.SGD([w], 0.01), lambda x, y: tg.mse_loss(x @ w, y)
            steps = updates(loss, loader(samples, 4, seed=0), optimizer)
            return [float(step[0]) for step in islice(steps, 6)]

        found = losses(distributed.updates, distributed.ShardedLoader)
        np.testing.assert_allclose(found, losses(tg.updates, tg.DataLoader), rtol=1e-12)
        """,
    )


@needs_mpi
def test_a_loader_without_a_batch_is_an_error_on_all_ranks(tmp_path):
    succeed(
        tmp_path,
        2,
        SETUP
        + """
loader = distributed.ShardedLoader(data, 98, drop_last=True)
try:
    train(1)
except ValueError as error:
    assert "there is no batch in ShardedLoader(97 samples, batch_size=98" in str(error)
else:
    raise AssertionError("nobody has noticed")
""",
    )


# ── One exchange for all gradients ───────────────────────────────────────────────────────────────


@needs_mpi
def test_gradients_are_weighted_and_go_in_one_all_reduce(tmp_path):
    succeed(
        tmp_path,
        2,
        """
        class Counting:
            calls = []

            def __getattr__(self, name):
                self.calls.append(name)
                return getattr(world, name)

        distributed.world = Counting()
        a, b, c, d = (tg.Tensor(np.ones(3, dtype), requires_grad=True)
                      for dtype in ("float64", "float32", "float16", "float64"))
        samples = (3, 1)[world.rank]
        for param in (a, b, c)[: 3 - world.rank]:  # c has a gradient on rank 0 alone
            param.grad = tg.Tensor(np.full(3, 8.0 if world.rank else 4.0, param.dtype))
        before = a.grad.data
        distributed.average_gradients([a, b, c, d], samples)
        assert Counting.calls.count("Allreduce") == 1
        assert Counting.calls.count("Allgather") == 1  # who does what, and for how many samples
        for param, expected in ((a, 5.0), (b, 5.0), (c, 3.0)):  # (3·4 + 1·8) / 4, and (3·4) / 4
            assert param.grad.data.tolist() == [expected] * 3
            assert param.grad.dtype == param.dtype
        assert d.grad is None  # it has none anywhere
        assert before[0] == (8.0 if world.rank else 4.0)  # the old array is left alone
        assert distributed.mean(6.0 * world.rank, samples) == 1.5
        assert distributed.mean(np.nan if world.rank else 2.0, 1 - world.rank) == 2.0
        """,
    )


@needs_mpi
def test_weights_of_every_dtype_are_broadcast(tmp_path):
    succeed(
        tmp_path,
        2,
        """
        params = [tg.Tensor(np.full(shape, 1 / 3 + world.rank, dtype), requires_grad=True)
                  for shape, dtype in (((), "float16"), ((2, 3), "float32"), (4, "float64"))]
        distributed.broadcast(params)
        for param, dtype in zip(params, ("float16", "float32", "float64")):
            assert (param.data == np.dtype(dtype).type(1 / 3)).all() and param.dtype == dtype
        """,
    )


@needs_mpi
@pytest.mark.skipif("tg.backend.current() == 'numpy'", reason="needs CuPy as the backend")
def test_arrays_on_a_gpu_cross_to_the_host_once_each_way(tmp_path):
    succeed(
        tmp_path,
        2,
        """
        moved, move = [], tg.backend.move

        def watched(array, name):
            if tg.backend.name_of(array) != name:
                moved.append(f"{array.size} to {name}")
            return move(array, name)

        tg.backend.move = watched
        params = [tg.Tensor(np.zeros(shape) + world.rank, requires_grad=True) for shape in (2, 3)]
        distributed.broadcast(params)
        assert all((host(param.data) == 0).all() for param in params)
        params[0].grad = tg.Tensor(params[0].data + world.rank)
        moved.clear()
        distributed.average_gradients(params, samples=1)
        assert moved == ["5 to numpy", "5 to cupy"], moved
        assert tg.backend.name_of(params[0].grad.data) == "cupy"
        assert host(params[0].grad.data).tolist() == [0.5, 0.5]
        assert params[1].grad is None
        """,
    )


@needs_mpi
@pytest.mark.skipif("tg.backend.current() == 'numpy'", reason="needs CuPy as the backend")
def test_arrays_on_a_gpu_are_handed_to_an_mpi_that_takes_them_when_they_are_ready(tmp_path):
    succeed(
        tmp_path,
        1,
        """
        import cupy

        class Watched:
            waited = False

            def synchronize(self):
                Watched.waited = True

        class Array(cupy.ndarray):
            device = Watched()

        def exchange(buffer):
            assert Watched.waited and tg.backend.name_of(buffer) == "cupy"

        distributed.CUDA_AWARE = True
        array = tg.Tensor(np.ones(2)).data.view(Array)
        Array.__module__ = "cupy"
        assert distributed._exchange(array, exchange) is array
        """,
    )


# ── All end, and say why ─────────────────────────────────────────────────────────────────────────

LAST = "world.rank == world.size - 1"
PARAMS = "p = [tg.Tensor(np.ones(3), requires_grad=True) for _ in range(2)]\n"
AVERAGE = "for q in p:\n    q.grad = q.detach()\ndistributed.average_gradients(p, 1)\n"
FAILURES = {
    "raises": (
        f"{PARAMS}if {LAST}:\n    raise KeyError('lost')\n{AVERAGE}",
        ["KeyError: 'lost'", "of 2 has failed, so all ranks end"],
    ),
    "raises before the import": (
        "if os.environ.get('PMI_RANK', os.environ.get('OMPI_COMM_WORLD_RANK')) == '1':\n"
        "    raise KeyError('lost')\nfrom tinygrad_edu import distributed",
        ["KeyError: 'lost'"],
    ),
    "is killed": (
        f"{PARAMS}if {LAST}:\n    os.kill(os.getpid(), signal.SIGKILL)\n{AVERAGE}",
        ["Killed"],
    ),
    "is gone": (f"{PARAMS}if {LAST}:\n    os._exit(3)\n{AVERAGE}", []),
    "exits": (
        f"{PARAMS}if {LAST}:\n    sys.exit('enough')\n{AVERAGE}",
        ["enough", "rank 0 averages the gradients [float64 (3,), float64 (3,)]", "has ended"],
    ),
    "ends early": (
        f"{PARAMS}for _ in range(3 - ({LAST})):\n    distributed.mean(1.0, 1)\n",
        ["rank 0 averages a number float64 (1,), and rank", "has ended"],
    ),
    "another shape": (
        f"p = [tg.Tensor(np.ones(3 + ({LAST})), requires_grad=True)]\ndistributed.broadcast(p)",
        ["rank 0 broadcasts [float64 (3,)], and rank", "broadcasts [float64 (4,)]"],
    ),
    "another dtype": (
        f"p = [tg.Tensor(np.ones(3, 'f4' if {LAST} else 'f8'), requires_grad=True)]\n"
        "distributed.broadcast(p)",
        ["rank 0 broadcasts [float64 (3,)], and rank", "broadcasts [float32 (3,)]"],
    ),
    "fewer parameters": (
        f"{PARAMS}distributed.broadcast(p[{LAST}:])",
        ["broadcasts [float64 (3,), float64 (3,)], and rank", "broadcasts [float64 (3,)]"],
    ),
    "fewer gradients": (
        f"{PARAMS}distributed.broadcast(p)\np = p[{LAST}:]\n{AVERAGE}",
        [
            "rank 0 averages the gradients [float64 (3,), float64 (3,)]",
            "averages the gradients [float64 (3,)]",
        ],
    ),
    "another gradient": (
        f"{PARAMS}p[0].grad = tg.Tensor(np.ones(3 + ({LAST})))\n"
        "distributed.average_gradients(p, 1)",
        ["[float64 (3,), float64 (3,)]", "[float64 (4,), float64 (3,)]"],
    ),
    "something else": (
        f"{PARAMS}distributed.broadcast(p) if {LAST} else distributed.mean(1.0, 1)",
        ["rank 0 averages a number", "broadcasts [float64 (3,), float64 (3,)]"],
    ),
    "another seed": (
        f"distributed.ShardedLoader(tg.TensorDataset(INPUTS), 8, True, seed=int({LAST}))",
        ["loads 97 samples, batch_size=8, shuffle=True, drop_last=False, seed=0", "seed=1"],
    ),
    "another epoch": (
        "loader = distributed.ShardedLoader(tg.TensorDataset(INPUTS), 8)\n"
        f"loader.epoch = int({LAST})\nlist(loader)",
        ["rank 0 starts epoch 0", "starts epoch 1"],
    ),
    "a longer vector": (
        f"{PARAMS}p = p[{LAST}:]\n"
        "H = distributed.ShardedHessian(lambda: (p[-1] ** 3).sum(), p, 1)\n",
        ["rank 0 averages a gradient float64 (6,)", "averages a gradient float64 (3,)"],
    ),
    "another k": (
        "model = network(seed=0)\n"
        "x, labels = tg.TensorDataset(INPUTS, LABELS)[distributed.shard(0, N)]\n"
        "loss = lambda: loss_of(model)(x, labels)\n"
        "H = distributed.ShardedHessian(loss, model.parameters(), len(x))\n"
        f"tg.extreme_eigenpairs(H, k=1 + 5 * ({LAST}))",
        ["all ranks must do the same", "multiplies the Hessian with a vector with checksum"],
    ),
    "no samples at all": (f"{PARAMS}distributed.average_gradients(p, 0)", ["no rank has a sample"]),
    "fewer than no samples": (
        f"{PARAMS}distributed.average_gradients(p, -1 if {LAST} else 1)",
        ["samples, not -1"],
    ),
    "a Hessian of nothing": (
        f"{PARAMS}distributed.ShardedHessian(lambda: (p[-1] ** 3).sum(), p, 1 - ({LAST}))",
        ["has 0 samples: start fewer ranks"],
    ),
}


@needs_mpi
@pytest.mark.parametrize("failure", FAILURES)
def test_when_one_rank_fails_all_end_with_a_message(failure, tmp_path):
    code, messages = FAILURES[failure]
    head = PROBLEM if failure == "raises before the import" else WORKER
    done = launch(tmp_path, 2, code, head, TINYGRAD_EDU_MPI_START="3")
    assert done.returncode != 0
    said = (done.stdout + done.stderr).replace(" on cupy", "")
    for message in messages:
        assert message in said, said


@needs_mpi
def test_four_ranks_end_when_one_is_killed(tmp_path):
    code = f"{PARAMS}for step in range(10**9):\n    {AVERAGE.replace(chr(10), chr(10) + '    ')}"
    code += f"\n    if step == 20 and {LAST}:\n        os.kill(os.getpid(), signal.SIGKILL)\n"
    done = launch(tmp_path, 4, code)
    assert done.returncode != 0
    assert "Killed" in done.stdout + done.stderr


@needs_mpi
def test_an_error_that_all_ranks_share_can_be_caught_and_all_go_on(tmp_path):
    succeed(
        tmp_path,
        2,
        f"""
        {PARAMS}
        def refuses(error, call, *arguments):
            try:
                call(*arguments)
            except error:
                return
            raise AssertionError(f"{{call}} did not raise")

        refuses(ValueError, distributed.average_gradients, p, 0)
        refuses(ValueError, distributed.average_gradients, p, -1)
        refuses(ValueError, distributed.ShardedHessian, lambda: (p[0] ** 3).sum(), p, 0)
        refuses(RuntimeError, distributed.broadcast, p[world.rank :])
        assert distributed.mean(world.rank, 1) == 0.5
        distributed.MPI.Finalize()  # whoever ends MPI is not asked again
        """,
    )


# ── What is missing is said ──────────────────────────────────────────────────────────────────────


def python(code, **environment):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=55
    )


def test_without_mpi4py_the_rest_works_and_the_error_says_what_to_install():
    done = python(
        """
        import sys
        sys.modules["mpi4py"] = None  # as if it were not installed
        import tinygrad_edu as tg
        assert tg.Tensor(1.0).item() == 1
        from tinygrad_edu import distributed
        """
    )
    assert "ImportError: data parallelism needs MPI and mpi4py: python -m pip" in done.stderr


@needs_mpi
def test_without_mpiexec_the_error_says_what_to_install():
    done = python(
        """
        import sys
        from tinygrad_edu import distributed
        sys.executable = "/nowhere/python"
        distributed.command(2, "train.py")
        """,
        PATH="",
    )
    expected = "no mpiexec, which starts the ranks, in /nowhere or on the PATH: python -m pip inst"
    assert expected in done.stderr


@needs_mpi
def test_ranks_that_do_not_know_of_each_other_are_noticed():
    """As when mpiexec is of one MPI, and mpi4py uses another: each rank would train alone."""
    code = """
        from mpi4py import MPI
        import os
        other = "OMPI_COMM_WORLD_SIZE" if MPI.get_vendor()[0] == "MPICH" else "PMI_SIZE"
        os.environ[other] = "2"
        from tinygrad_edu import distributed
        """
    assert "mpiexec started 2 ranks, but MPI knows of 1" in python(code).stderr
