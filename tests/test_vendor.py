"""What the pages need in the browser comes whole, as it was pinned, or not at all."""

import hashlib
import json

import pytest

vendor = pytest.importorskip("vendor", reason="the docs are not part of this package")

LOCK = json.dumps({"info": {}, "packages": {"numpy": {"version": "2"}, "other": {}}}).encode()
FILES = {"pyodide.mjs": b"loads", "pyodide-lock.json": LOCK, "numpy-2.whl": b"numbers"}


@pytest.fixture
def release(tmp_path, monkeypatch):
    """Publish other files, for this test, and put what is fetched into a folder of its own."""
    published = tmp_path / "release"
    published.mkdir()
    for name, data in FILES.items():
        (published / name).write_bytes(data)
    monkeypatch.setattr(vendor, "ROOT", tmp_path)
    monkeypatch.setattr(vendor, "ASSETS", tmp_path / "assets")
    monkeypatch.setattr(vendor, "RELEASE", published.as_uri() + "/")
    monkeypatch.setattr(
        vendor, "RUNTIME", {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    )
    return published


def test_an_archive_that_is_not_the_pinned_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(vendor, "ROOT", tmp_path)
    version = vendor.PINS["katex"][0]
    archive = tmp_path / "build" / "npm" / f"katex-{version}.tgz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"something else")
    with pytest.raises(ValueError, match="has the SHA256 .*, but pinned is"):
        vendor.fetch("katex")
    assert not archive.exists()


def test_the_runtime_comes_from_its_release_with_a_lock_of_what_is_needed(release):
    folder = vendor.runtime()
    assert (folder / "pyodide.mjs").read_bytes() == b"loads"
    assert json.loads((folder / "pyodide-lock.json").read_bytes())["packages"] == {
        "numpy": {"version": "2"}
    }


def test_what_was_fetched_once_is_kept(release):
    vendor.runtime()
    for file in release.iterdir():
        file.unlink()
    assert (vendor.runtime() / "numpy-2.whl").read_bytes() == b"numbers"


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_runtime_that_is_not_the_pinned_one_is_refused(name, release):
    (release / name).write_bytes(b"something else")
    with pytest.raises(ValueError, match=f"{name} has the SHA256 .*, but pinned is"):
        vendor.runtime()
    assert not (vendor.ASSETS / "pyodide").exists()


def test_a_file_that_was_changed_after_it_was_fetched_is_refused(release, tmp_path):
    vendor.runtime()
    (tmp_path / "build" / "pyodide" / "pyodide.mjs").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"pyodide\.mjs has the SHA256"):
        vendor.runtime()


def test_without_a_connection_there_is_none_and_it_says_so(release, monkeypatch, capsys):
    (release / "pyodide.mjs").unlink()
    (vendor.ASSETS / "pyodide").mkdir(parents=True)  # of a build before
    assert vendor.runtime() is None
    assert "only precomputed paths: cannot read file:" in capsys.readouterr().out
    assert not (vendor.ASSETS / "pyodide").exists()


def test_without_npm_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(vendor, "ROOT", tmp_path)
    monkeypatch.setattr(vendor.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="katex comes through npm, which is not installed"):
        vendor.fetch("katex")
