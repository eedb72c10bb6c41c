"""The main job, `python -m tinygrad_edu`, as its user runs it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_edu as tg
from tinygrad_edu.__main__ import Epoch, compare

HOME = Path(tg.__file__).parents[1]


def run(*arguments, folder=HOME, path=HOME, encoding="utf-8"):
    settings = {
        "PYTHONPATH": str(path),
        "PYTHONIOENCODING": encoding,
        "OMP_NUM_THREADS": "1",  # several would wait for each other on a busy machine
    }
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_edu", *map(str, arguments)],
        env=os.environ | settings,
        cwd=folder,
        capture_output=True,
        encoding=encoding,
        timeout=120,
    )


def table(output):
    """Read the epochs' numbers, losses and accuracies, but not the times."""
    return re.findall(r"^ +(\d+) +(\d+\.\d{4}) +(\d+\.\d)% +\d+\.\d+$", output, re.MULTILINE)


def last_line(text):
    return text.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def two_epochs():
    return run("--epochs", 2)


# A run


def test_a_run_ends_well_and_silently(two_epochs):
    assert two_epochs.returncode == 0
    assert two_epochs.stderr == ""


def test_a_run_says_what_it_learns_from(two_epochs):
    assert two_epochs.stdout.startswith(
        "digits: 1437 images to train with, 360 to test. Batches of 32: 45 updates an epoch.\n"
    )


def test_a_run_shows_both_optimizers_and_their_rules(two_epochs):
    assert "SGD, η = 0.05:  θ ← θ − ηg\n" in two_epochs.stdout
    assert "Momentum, η = 0.05, λ = 0.9:  m ← λm − ηg,  θ ← θ + m\n" in two_epochs.stdout


def test_a_run_shows_every_epoch_of_both(two_epochs):
    assert [number for number, _, _ in table(two_epochs.stdout)] == ["1", "2", "1", "2"]


def test_a_run_learns(two_epochs):
    for first, second in (table(two_epochs.stdout)[:2], table(two_epochs.stdout)[2:]):
        assert float(second[1]) < float(first[1])
    assert float(table(two_epochs.stdout)[-1][2]) > 85


def test_a_run_compares_what_it_showed(two_epochs):
    (_, loss, accuracy), (_, _, best) = table(two_epochs.stdout)[1::2]
    assert (
        f"\nMomentum needed 1 of 2 epochs for the loss SGD ended with, {loss}.\n"
        f"After 2 epochs SGD got {accuracy}% of the test images right, Momentum {best}%.\n"
    ) in two_epochs.stdout


@pytest.mark.parametrize("name", ["SGD", "Momentum"])
def test_a_run_describes_the_point_where_each_stopped(two_epochs, name):
    found = re.search(
        rf"{name} stopped.*? gradient has length (\S+?),? .*? {64 * 64 + 64 + 64 * 10 + 10} "
        r"eigenvalues go from (\S+) to (\S+?)[.,:] Not a critical point",
        " ".join(two_epochs.stdout.split()),
    )
    gradient, lowest, highest = map(float, found.groups())
    assert gradient > 0.01
    assert lowest < 0 < highest


def test_the_same_seed_gives_the_same_losses(two_epochs):
    assert table(run("--epochs", 2, "--seed", 0).stdout) == table(two_epochs.stdout)


def test_another_seed_gives_other_losses(two_epochs):
    assert table(run("--epochs", 2, "--seed", 1).stdout) != table(two_epochs.stdout)


def test_without_momentum_both_runs_are_one():
    rows = table(run("--epochs", 2, "--momentum", 0).stdout)
    assert rows[:2] == rows[2:]


def test_the_loss_is_the_mean_over_all_images_whatever_the_batches():
    small, large = (
        [float(loss) for _, loss, _ in table(run("--epochs", 1, "--lr", 0, *batches).stdout)]
        for batches in ([], ["--batch-size", 1000])
    )
    assert small == pytest.approx(large, abs=2e-4)
    assert small == pytest.approx([2.3, 2.3], abs=0.1)  # log 10: the network knows nothing yet


def test_options_change_the_run():
    output = run("--epochs", 1, "--batch-size", 100, "--lr", 0.2, "--hidden", 8).stdout
    assert "Batches of 100: 15 updates an epoch." in output
    assert "SGD, η = 0.2:" in output
    assert f" {512 + 8 + 80 + 10}\n" in output  # as many eigenvalues as parameters


@pytest.mark.skipif("config.getoption('--backend') == 'numpy'", reason="needs CuPy")
def test_the_losses_on_another_backend_are_the_same(two_epochs):
    output = run("--epochs", 2, "--backend", "cupy")
    assert output.stderr == ""
    assert table(output.stdout) == table(two_epochs.stdout)


def test_the_plot_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    output = run("--epochs", 1, "--plot", tmp_path / "runs.png")
    assert output.returncode == 0
    assert f"\nDrawn into {tmp_path / 'runs.png'}.\n" in output.stdout
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG\r\n")


# Help and errors


@pytest.mark.parametrize(
    "option",
    "--dataset --epochs --batch-size --lr --momentum --hidden --seed --backend --plot".split(),
)
def test_the_help_explains_every_option(helped, option):
    assert re.search(rf"^  {option} \S.*\w", helped, re.MULTILINE)


@pytest.fixture(scope="module")
def helped():
    output = run("--help")
    assert output.returncode == 0
    return output.stdout


@pytest.mark.parametrize(
    ("option", "wrong", "message"),
    [
        ("--epochs", 0, "--epochs must be 1 or more, but is 0"),
        ("--batch-size", 0, "must be 1"),
        ("--batch-size", -1, "must be 1"),
        ("--lr", "nan", "learning rate, must be a number from 0 on, but is nan"),
        ("--momentum", 1, "momentum must be from 0 to below 1, but is 1.0"),
        ("--hidden", 0, "needs inputs and outputs, but got 64 and 0"),
        ("--seed", -1, "--seed must be 0 or more"),
        ("--epochs", "many", "invalid int value: 'many'"),
        ("--dataset", "cats", "invalid choice: 'cats'"),
        ("--optimizer", "adam", "unrecognized arguments: --optimizer adam"),
    ],
)
def test_a_wrong_option_is_explained_in_one_line(option, wrong, message):
    arguments = {"--epochs": 1, option: wrong}
    output = run(*(word for pair in arguments.items() for word in pair))
    assert output.returncode != 0
    assert last_line(output.stderr).startswith("python -m tinygrad_edu: ")
    assert message in last_line(output.stderr)
    assert "Traceback" not in output.stderr


def test_without_cupy_the_error_says_what_to_install(tmp_path):
    (tmp_path / "cupy.py").write_text("raise ModuleNotFoundError")  # also where it is installed
    output = run("--backend", "cupy", folder=tmp_path)
    assert output.returncode != 0
    assert re.fullmatch(
        r"python -m tinygrad_edu: .* needs CuPy, which is not installed: .*pip install 'cupy.*\n",
        output.stderr,
    )


def test_a_plot_into_no_folder_is_explained_in_one_line(tmp_path):
    pytest.importorskip("matplotlib")
    output = run("--epochs", 1, "--plot", tmp_path / "none" / "runs.png")
    assert output.returncode != 0
    assert re.fullmatch(
        r"python -m tinygrad_edu: there is no folder for .*runs\.png\n", output.stderr
    )
    assert "epoch" not in output.stdout  # said before training, not after


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("runs", r"--plot .*runs must end in one of .*\.pdf.*\.png.*\.svg"),
        ("runs.", "must end in one of"),
        ("runs.txt", "must end in one of"),
        ("", "must end in one of"),
        ("folder.png", r"folder\.png cannot be written"),
    ],
)
def test_a_plot_that_cannot_be_drawn_is_explained_before_training(tmp_path, file, message):
    pytest.importorskip("matplotlib")
    (tmp_path / "folder.png").mkdir()
    output = run("--epochs", 1, "--plot", file and tmp_path / file)
    assert output.returncode == 1
    assert output.stdout == ""
    assert re.fullmatch(rf"python -m tinygrad_edu: .*{message}.*\n", output.stderr)


@pytest.mark.parametrize("suffix", [".PNG", ".svg", ".pdf"])
def test_the_plot_is_the_file_that_is_named(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"runs.v2{suffix}"
    output = run("--epochs", 1, "--hidden", 4, "--plot", path)
    assert f"\nDrawn into {path}.\n" in output.stdout
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@contextlib.contextmanager
def started(*arguments, **streams):
    """Start a run and do not wait for it; it ends with the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_edu", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(HOME), "OMP_NUM_THREADS": "1"},
        encoding="utf-8",
        # A job in the background ignores interrupts, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


posix = pytest.mark.skipif(os.name != "posix", reason="needs the signals of a POSIX system")


@posix
def test_an_interrupt_ends_it_in_one_line():
    with started("--epochs", 100_000) as process:
        while " 1 " not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == "python -m tinygrad_edu: interrupted\n"
        assert process.wait(60) == 130


@posix
def test_a_reader_that_goes_away_ends_it_in_one_line():
    with started("--epochs", 100_000) as process:
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert said == "python -m tinygrad_edu: nobody reads the output any more\n"
        assert process.wait(60) == 141
        process.stdout = None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="not there: a device that is full")
def test_a_full_disk_ends_it_in_one_line():
    with open("/dev/full", "w") as full, started("--epochs", 1, stdout=full) as process:
        said = process.stderr.read()
        assert re.fullmatch(r"python -m tinygrad_edu: .*No space left on device\n", said)
        assert process.wait(60) == 1


def test_too_little_memory_is_explained_in_one_line():
    output = run("--hidden", 10**13)
    assert output.returncode == 1
    assert re.fullmatch(r"python -m tinygrad_edu: there is not enough memory: .*\n", output.stderr)


@posix
def test_where_a_person_watches_long_work_shows_its_progress():
    master, slave = os.openpty()
    shown = b""
    with started("--epochs", 1, "--hidden", 8, stderr=slave, stdout=subprocess.DEVNULL):
        os.close(slave)
        with contextlib.suppress(OSError):  # when the other side has ended
            while shown.count(b"\r1 products") < 2:
                shown += os.read(master, 1000)
    os.close(master)
    assert shown.startswith(b"\r1 products with the Hessian\r\r2 products with the Hessian\r\r3 ")
    assert shown.count(b"\r1 products") == 2  # for both runs


@pytest.mark.parametrize("arguments", [["--help"], ["--epochs", 1]])
def test_an_encoding_without_greek_letters_is_no_obstacle(arguments):
    output = run(*arguments, encoding="cp1252")
    assert (output.returncode, output.stderr) == (0, "")


# The comparison


def epochs(*losses):
    return [Epoch(loss, 0.5 + place / 10, 1.0) for place, loss in enumerate(losses)]


def test_the_comparison_counts_the_epochs_that_momentum_needed():
    assert compare(epochs(3.0, 2.0, 1.0), epochs(2.0, 1.0, 0.5)) == (
        "Momentum needed 2 of 3 epochs for the loss SGD ended with, 1.0000.\n"
        "After 3 epochs SGD got 70.0% of the test images right, Momentum 70.0%."
    )


def test_the_comparison_says_where_momentum_is_behind():
    text = compare(epochs(2.0, 1.0), epochs(3.0, 2.0))
    assert text.startswith("Momentum did not come down to the loss that SGD ended with, 1.0000.\n")


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_the_comparison_says_who_diverged(loss):
    assert compare(epochs(2.0, 1.0), epochs(3.0, loss)).startswith("Momentum diverged: ")
    assert compare(epochs(2.0, loss), epochs(3.0, 2.0)).startswith("SGD diverged.")


def test_the_comparison_says_where_both_diverged():
    nan = float("nan")
    text = compare(epochs(2.0, nan), epochs(2.0, nan))
    assert text == "Momentum diverged: so did SGD. Try a smaller --lr."


def test_the_comparison_of_one_epoch_speaks_of_one_epoch():
    text = compare(epochs(2.0), epochs(1.0))
    assert "1 of 1 epoch for" in text
    assert "\nAfter 1 epoch SGD got" in text


@pytest.mark.parametrize("rate", [1e30, 1e300, 1e308])
def test_a_run_that_diverges_says_so_and_nothing_else(rate):
    output = run("--epochs", 1, "--lr", rate)
    assert (output.returncode, output.stderr) == (0, "")
    assert "\nMomentum diverged: so did SGD." in output.stdout
    assert "Part of that" not in output.stdout


@pytest.mark.parametrize("options", [["--lr", 0], ["--lr", 2, "--epochs", 3]])
def test_the_longer_step_is_spoken_of_only_where_momentum_is_ahead(options):
    output = run("--epochs", 1, "--hidden", 8, *options).stdout
    rows = table(output)
    half = len(rows) // 2
    ahead = float(rows[-1][1]) < float(rows[half - 1][1])
    assert ("Part of that is the longer step" in output) == ahead
    assert "--lr 0." not in output
