"""Ranks that MPI really starts make the steps of one process, or end, all of them, with a message.

Where MPI is not installed, most of this is skipped.
"""

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg

HERE = Path(__file__).parent
needs_mpi = pytest.mark.skipif(not find_spec("mpi4py"), reason="MPI is not installed")

PROBLEM = """
import os
import signal
import sys

import numpy as np
import tinygrad_edu as tg

signal.alarm(40)  # nothing stays behind, whatever goes wrong
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
    save = "\nnp.savez(f'{world.rank}.npz', **results)\n"
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
    weights = tg.nn.parameters_to_vector(model.parameters())
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
    H = tg.HessianOperator(lambda: loss(ONE["INPUTS"], ONE["LABELS"]), model.parameters())
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
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(found["gradient"], H.gradient, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["product"], expected["product"], rtol=0, atol=1e-12)
    assert abs(found["escape"] @ tg.escape_direction(H)) > 1 - 1e-9


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
@pytest.mark.parametrize("aware", [False, True])
def test_arrays_on_a_gpu_go_through_the_host_unless_mpi_takes_them(aware, tmp_path):
    succeed(
        tmp_path,
        2,
        f"""
        tg.use("cupy")
        import cupy

        seen, wait = [], []
        distributed.CUDA_AWARE = {aware}
        w = tg.Tensor(np.zeros(2) + world.rank, requires_grad=True).to("cupy").detach()
        w = tg.Tensor(w.data, requires_grad=True)
        if {aware}:  # the stand-in is no memory that MPI could read: only look at what it gets
            class Device:
                def synchronize(self):
                    wait.append(1)
            cupy.ndarray.device = Device()
            distributed._exchange(w.data, seen.append)
            assert wait and tg.backend.name_of(seen[0]) == "cupy"
        else:
            distributed._exchange(w.data, seen.append)
            assert tg.backend.name_of(seen[0]) == "numpy"
            distributed.broadcast([w])
            w.grad = tg.Tensor(w.data + world.rank)
            distributed.average_gradients([w], samples=1)
            assert tg.backend.name_of(w.data) == tg.backend.name_of(w.grad.data) == "cupy"
            assert w.data.get().tolist() == [0, 0] and w.grad.data.get().tolist() == [0.5, 0.5]
        """,
        PYTHONPATH=str(HERE / "stand_in"),
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
    said = done.stdout + done.stderr
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
