"""Real faults: full disks, killed processes, broken mirrors, interrupts, exceptions, forks."""

import asyncio
import contextlib
import errno
import functools
import gzip
import hashlib
import http.server
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import datasets

HERE = Path(__file__).parent
PATIENCE = 60  # seconds for what takes less than one

posix = pytest.mark.skipif(os.name != "posix", reason="needs the signals of a POSIX system")


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def command(function, *arguments):
    """Return the command that calls a function of this file in a Python of its own."""
    call = f"{function.__name__}(*{[str(argument) for argument in arguments]})"
    backend = tg.backend.current()
    code = f"import tinygrad_edu, test_faults; tinygrad_edu.use('{backend}'); test_faults.{call}"
    return [sys.executable, "-W", "error", "-c", code]


def environment():
    path = os.pathsep.join([str(HERE), *sys.path])
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@contextlib.contextmanager
def child(function, *arguments):
    """Run such a command beside the test, and never beyond it."""
    # Without coverage's tracer: it swallows an interrupt now and then.
    untraced = {k: v for k, v in environment().items() if not k.startswith("COVERAGE_PROCESS")}
    process = subprocess.Popen(
        command(function, *arguments),
        env=untraced,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finished(arguments):
    """Run a command to its end, and return what it printed."""
    result = subprocess.run(
        arguments, env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def wait_until(condition, process):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.002)


# A full disk


def save_until_it_fails(folder):
    """Save ever more where there is room for less than 64 KiB, and print how it fails."""
    path = Path(folder) / "state.npz"
    tg.save({"a": 1.0}, path)
    small = path.read_bytes()
    outcomes = set()
    for size in range(50_000, 70_000, 200):  # so that it fails at any of the writes of a save
        try:
            tg.save({"a": np.full(size, 7, "uint8")}, path)
        except OSError as error:
            outcomes.add(errno.errorcode[error.errno])
            assert path.read_bytes() == small
        else:
            outcomes.add("saved")
            assert tg.load(path)["a"].tolist() == [7] * size
            tg.save({"a": 1.0}, path)
        assert names(folder) == ["state.npz"]
    print(*sorted(outcomes))


def save_below_a_limit(folder):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
    save_until_it_fails(folder)


@posix
def test_a_file_that_may_not_grow_is_an_error_and_the_old_one_stays(tmp_path):
    assert finished(command(save_below_a_limit, tmp_path)) == ["EFBIG", "saved"]


@posix
def test_a_full_disk_is_an_error_and_the_old_file_stays(tmp_path):
    script = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"'  # gone with its process
    mounted = ["unshare", "-rm", "sh", "-c", script, str(tmp_path)]
    try:
        subprocess.run([*mounted, "true"], capture_output=True, check=True, timeout=PATIENCE)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no small disk can be mounted here")
    output = finished([*mounted, *command(save_until_it_fails, tmp_path)])
    assert output == ["ENOSPC", "saved"]
    assert names(tmp_path) == []  # it was all on the small disk


# A process that is killed


NUMBERS = 6_250_000  # 50 MB


def save_again_and_again(path):
    for number in range(1_000_000):
        tg.save({"w": np.full(NUMBERS, float(number))}, path)


@posix
def test_a_kill_in_the_middle_of_a_save_leaves_a_whole_file(tmp_path):
    path, cut = tmp_path / "state.npz", 0
    for _ in range(4):
        for old in tmp_path.iterdir():
            old.unlink()
        with child(save_again_and_again, path) as process:
            # A save has ended, and the next one has begun.
            wait_until(lambda: path.exists() and len(names(tmp_path)) > 1, process)
            time.sleep(random.uniform(0, 0.02))
            process.kill()
            process.wait()
        w = tg.load(path)["w"]
        assert w.shape == (NUMBERS,)
        assert (w == w[0]).all()
        cut += len(names(tmp_path)) - 1
    assert cut, "no kill came in the middle of a save"
    tg.save({"w": 1}, path)
    assert tg.load(path) == {"w": 1}


# Mirrors that break


PARTS = ["train-images", "train-labels", "t10k-images", "t10k-labels"]


def file_name(part):
    return f"{part}-idx{3 if 'images' in part else 1}-ubyte.gz"


@functools.cache
def mirrored():
    """Make the packed files of a tiny MNIST: five random images and labels, twice."""
    generator, packed = np.random.default_rng(0), {}
    for part in PARTS:
        array = generator.integers(0, 10, (5, 20, 20) if "images" in part else 5, "uint8")
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        packed[part] = gzip.compress(header + array.tobytes(), mtime=0)
    return packed


def download(url, cache):
    """Call mnist() where the tiny MNIST is MNIST, and the cache is empty at first."""
    md5 = {part: hashlib.md5(content).hexdigest() for part, content in mirrored().items()}
    with (
        mock.patch.object(datasets, "MNIST", datasets.Source(url, md5, None, {})),
        mock.patch("pooch.os_cache", lambda project: Path(cache) / project),
    ):
        return datasets.mnist()


class Mirror(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with contextlib.suppress(ConnectionError):  # where the other side was killed
            part = next(part for part in PARTS if self.path == f"/{file_name(part)}")
            fault = self.server.fault if part == "train-labels" else whole
            fault(self, mirrored()[part])

    def log_message(self, *_):
        pass


def answer(handler, status, length):
    handler.send_response(status)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


def whole(handler, content):
    answer(handler, 200, len(content))
    handler.wfile.write(content)


def not_found(handler, content):
    answer(handler, 404, 0)


def server_error(handler, content):
    answer(handler, 500, 0)


def half(handler, content):
    answer(handler, 200, len(content))
    handler.wfile.write(content[: len(content) // 2])


def half_of_unknown_length(handler, content):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])


def half_and_silence(handler, content):
    half(handler, content)
    handler.server.reached.set()
    handler.server.end.wait(PATIENCE)


def silence(handler, content):
    handler.server.end.wait(PATIENCE)


def no_http(handler, content):
    handler.wfile.write(b"\0\1\2\n\n")


@pytest.fixture
def mirror(monkeypatch):
    pytest.importorskip("pooch")
    pytest.importorskip("tqdm")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        server.fault, server.reached, server.end = whole, threading.Event(), threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.end.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def hasty(monkeypatch):
    """Make the library lose its patience with a mirror a hundred times as soon."""
    pooch = pytest.importorskip("pooch")
    patient = pooch.HTTPDownloader

    def impatient(*, timeout, **options):
        return patient(timeout=timeout / 100, **options)

    monkeypatch.setattr(pooch, "HTTPDownloader", impatient)


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (not_found, OSError, "404 .*train-labels"),
        (server_error, OSError, "500 .*train-labels"),
        (half, OSError, "bytes read, .* more expected"),
        (half_of_unknown_length, ValueError, "hash of downloaded file .*train-labels"),
        (half_and_silence, OSError, "Read timed out"),
        (silence, OSError, "Read timed out"),
        (no_http, OSError, "BadStatusLine"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_broken_mirror_sends_is_an_error_and_not_kept(
    mirror, hasty, tmp_path, fault, error, message
):
    mirror.fault = fault
    with pytest.raises(error, match=message):
        download(mirror.url, tmp_path)
    assert names(tmp_path / "tinygrad_edu" / "mnist") == [file_name("train-images")]
    mirror.fault = whole
    assert list(map(len, download(mirror.url, tmp_path))) == [5, 5]


@posix
def test_after_a_kill_in_the_middle_of_a_download_the_next_call_downloads_anew(mirror, tmp_path):
    mirror.fault = half_and_silence
    with child(download, mirror.url, tmp_path) as process:
        wait_until(mirror.reached.is_set, process)
        process.kill()
        process.wait()
    assert file_name("train-labels") not in names(tmp_path / "tinygrad_edu" / "mnist")
    mirror.fault = whole
    assert list(map(len, download(mirror.url, tmp_path))) == [5, 5]


# Runs that are interrupted


OPTIMIZERS = {
    "SGD": lambda params: tg.SGD(params, 0.1),
    "Momentum": lambda params: tg.Momentum(params, 0.1),
    "Nesterov": lambda params: tg.Momentum(params, 0.1, nesterov=True),
}
BATCHES = 10

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


class Run:
    """What a run consists of; an epoch has ten batches."""

    def __init__(self, optimizer, weights_seed=0, loader_seed=3):
        weights, numbers = np.random.default_rng(weights_seed), np.random.default_rng(0)
        self.model = tg.nn.Sequential(
            tg.nn.Linear(3, 8, weights), tg.nn.Tanh(), tg.nn.Linear(8, 2, weights)
        )
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        x = numbers.normal(size=(38, 3)).astype("float32")
        dataset = tg.TensorDataset(x, (x[:, 0] > x[:, 1]).astype("int64"))
        self.loader = tg.DataLoader(dataset, 4, shuffle=True, seed=loader_seed)
        assert len(self.loader) == BATCHES
        self.batches = 0  # that are done of the current epoch

    def state(self):
        state = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        state |= {f"optimizer.{name}": v for name, v in self.optimizer.state_dict().items()}
        numbers = {"seed": self.loader.seed, "epoch": self.epoch, "batches": self.batches}
        return state | numbers

    def load_state(self, state):
        for part in ("model", "optimizer"):
            getattr(self, part).load_state_dict(
                {name.partition(".")[2]: v for name, v in state.items() if name.startswith(part)}
            )
        self.loader.seed = int(state["seed"])
        self.loader.epoch = int(state["epoch"])
        self.batches = int(state["batches"])

    def train(self, last_epoch, report=lambda run: None):
        while self.loader.epoch <= last_epoch:
            self.epoch = self.loader.epoch
            for number, (x, labels) in enumerate(self.loader):
                if number < self.batches:
                    continue  # it was done before the interruption
                loss = tg.cross_entropy(self.model(x), labels)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.batches = number + 1
                report(self)
            self.batches = 0

    def values(self):
        return [parameter.numpy().tolist() for parameter in self.model.parameters()]


def uninterrupted(optimizer, last_epoch):
    run = Run(optimizer)
    run.train(last_epoch)
    return run.values()


def gone_on(optimizer, path, last_epoch):
    run = Run(optimizer, weights_seed=8, loader_seed=8)
    run.load_state(tg.load(path))
    run.train(last_epoch)
    return run.values()


@each_optimizer
@pytest.mark.parametrize("batches", [1, 4, BATCHES], ids=["start", "middle", "end"])
def test_a_run_goes_on_from_any_place_of_an_epoch_bit_for_bit(tmp_path, optimizer, batches):
    kept = []

    def keep(run):
        if (run.epoch, run.batches) == (1, batches):
            kept.append(run.state())

    run = Run(optimizer)
    run.train(last_epoch=2, report=keep)
    tg.save(*kept, tmp_path / "run.npz")  # it is of then, although the run has gone on
    assert gone_on(optimizer, tmp_path / "run.npz", last_epoch=2) == run.values()


def train_until_interrupted(optimizer, path):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    kept = []

    def keep(run):
        kept[:] = [run.state()]  # snapshots: what comes later does not change them
        if (run.epoch, run.batches) == (1, 1):
            print("running", flush=True)

    try:
        Run(optimizer).train(last_epoch=10**9, report=keep)
    except KeyboardInterrupt:
        tg.save(*kept, path)


@posix
@each_optimizer
def test_an_interrupt_at_any_moment_costs_no_more_than_a_batch(tmp_path, optimizer):
    path = tmp_path / "run.npz"
    with child(train_until_interrupted, optimizer, path) as process:
        assert process.stdout.readline() == "running\n", process.stderr.read()
        time.sleep(random.uniform(0, 0.1))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, process.stderr.read()
    last_epoch = int(tg.load(path)["epoch"]) + 1
    assert gone_on(optimizer, path, last_epoch) == uninterrupted(optimizer, last_epoch)


def test_a_run_whose_seed_was_drawn_goes_on_from_a_file(tmp_path):
    run = Run("SGD", loader_seed=None)
    run.train(last_epoch=0, report=lambda run: tg.save(run.state(), tmp_path / "run.npz"))
    run.train(last_epoch=1)
    assert gone_on("SGD", tmp_path / "run.npz", last_epoch=1) == run.values()


# Forks


def train_on_after_a_fork():
    run = Run("Nesterov")
    run.train(last_epoch=1)
    before = run.values()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def train_on():
        run.train(last_epoch=3)
        there.send(run.values())

    process = context.Process(target=train_on)
    process.start()
    theirs = here.recv() if here.poll(PATIENCE) else None
    process.join()
    assert run.values() == before  # the child's memory is its own
    run.train(last_epoch=3)
    print(theirs == run.values() != before, process.exitcode)


@posix
def test_after_a_fork_both_train_on_alike():
    assert finished(command(train_on_after_a_fork)) == ["True", "0"]


# Exceptions inside no_grad and use


needs_cupy = pytest.mark.skipif("config.getoption('--backend') == 'numpy'", reason="needs CuPy")


@pytest.fixture(params=["no_grad", pytest.param("use", marks=needs_cupy)])
def switch(request):
    return {"no_grad": tg.no_grad, "use": lambda: tg.use("numpy")}[request.param]


def switches():
    x = tg.Tensor(1.0, requires_grad=True)
    return (x * 2).requires_grad, tg.backend.current()


def halves(switch, steps=2):
    """Stop in the middle of a block; a generator that fails at its end."""
    with switch():
        yield from range(steps)
        raise KeyError


def in_a_call(switch):
    outside = switches()
    with contextlib.suppress(KeyError), switch():
        assert switches() != outside
        raise KeyError
    return switches()


def in_a_nested_block(switch):
    with switch():
        inside = switches()
        with contextlib.suppress(KeyError), switch():
            raise KeyError
        assert switches() == inside
    return switches()


def in_a_thread(switch):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(in_a_call(switch)))
    thread.start()
    thread.join()
    return seen[0]


def in_a_generator_that_fails(switch):
    with contextlib.suppress(KeyError):
        list(halves(switch))
    return switches()


def in_a_generator_that_is_closed(switch):
    generator = halves(switch)
    next(generator)
    generator.close()
    return switches()


def in_a_generator_that_is_dropped(switch):
    for _ in halves(switch):
        break
    return switches()


def in_a_generator_that_is_thrown_into(switch):
    generator = halves(switch)
    next(generator)
    with contextlib.suppress(RuntimeError):
        generator.throw(RuntimeError)
    return switches()


async def waiting(switch, event):
    with switch():
        await event.wait()
        raise KeyError


def in_a_task_that_fails(switch):
    async def main():
        event = asyncio.Event()
        task = asyncio.create_task(waiting(switch, event))
        await asyncio.sleep(0)
        event.set()
        with contextlib.suppress(KeyError):
            await task
        return switches()

    return asyncio.run(main())


def in_a_task_that_is_cancelled(switch):
    async def main():
        task = asyncio.create_task(waiting(switch, asyncio.Event()))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return switches()

    return asyncio.run(main())


@pytest.mark.parametrize(
    "way",
    [
        in_a_call,
        in_a_nested_block,
        in_a_thread,
        in_a_generator_that_fails,
        in_a_generator_that_is_closed,
        in_a_generator_that_is_dropped,
        in_a_generator_that_is_thrown_into,
        in_a_task_that_fails,
        in_a_task_that_is_cancelled,
    ],
)
def test_the_switch_is_back_after_an_exception(way, switch):
    before = switches()
    assert way(switch) == before  # where the exception was
    assert switches() == before  # and here


def test_while_a_thread_fails_inside_no_grad_the_others_record():
    entered, go_on = threading.Event(), threading.Event()

    def fail():
        with contextlib.suppress(KeyError), tg.no_grad():
            entered.set()
            go_on.wait(PATIENCE)
            raise KeyError

    thread = threading.Thread(target=fail)
    thread.start()
    assert entered.wait(PATIENCE)
    recorded = [switches()[0]]
    go_on.set()
    thread.join()
    assert [*recorded, switches()[0]] == [True, True]


def test_a_generator_inside_no_grad_can_be_closed_by_another_task():
    async def numbers():
        with tg.no_grad():
            yield 1

    async def main():
        generator = numbers()
        await asyncio.create_task(anext(generator))
        await generator.aclose()
        return switches()[0]

    assert asyncio.run(main())
