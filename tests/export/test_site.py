"""The folder: what is in it, what it says of itself, and what it never writes over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodels.errors import UserError
from worldmodels.export import site as sites
from worldmodels.export.description import MOST_STARTS, describe, exported_starts, starts_file
from worldmodels.export.site import MARK, STATIC, exported_page, write_site
from worldmodels.worlds.starts import Starts

LARGEST = 25_000_000


@pytest.fixture(autouse=True)
def _no_runtime(monkeypatch, request):
    """Most of these are about folders: a few bytes stand for onnxruntime-web."""
    if "site" in request.fixturenames:
        return

    def put(destination: Path, package: Path | None) -> None:
        for name in sites.FETCHED:
            path = destination.parent / name
            if name.startswith("ort/"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"ort")

    monkeypatch.setattr(sites, "put_runtime", put)


def test_the_whole_page_fits_in_25_megabytes(site):
    assert site.size < LARGEST
    assert sum(path.stat().st_size for path in site.path.rglob("*") if path.is_file()) == site.size
    assert site.size == site.size_of("model") + site.size_of("ort") + site.size_of("static") + sum(
        size for name, size in site.files.items() if "/" not in name
    )


def test_nothing_in_it_names_a_place_elsewhere(site):
    """No address in what we write; the policy in the page forbids the browser to follow any other."""
    said = {
        "http://www.w3.org/2000/svg",
        "http://localhost:8000",
    }  # a language's name, and what a person may type
    for name in site.files:
        if name.endswith((".html", ".css", ".js", ".json", ".svg")) and not name.startswith("ort/"):
            text = (site.path / name).read_text(encoding="utf-8")
            assert set(re.findall(r"(?:https?:|[\"'(])//[^\s\"'`)]+", text)) <= said, name
    page = (site.path / "index.html").read_text(encoding="utf-8")
    assert '<meta name="engine" content="local">' in page
    assert "default-src 'none'" in page
    assert not re.search(r'(?:src|href)="/', page), "the page must work below a prefix"


def test_every_file_that_the_page_names_is_there(site):
    page = (site.path / "index.html").read_text(encoding="utf-8")
    for name in re.findall(r'(?:src|href)="([^"#]+)"', page):
        assert (site.path / name).is_file(), name
    for path in (site.path / "static" / "js").rglob("*.js"):
        for name in re.findall(
            r'(?:from|import\(|new URL\()\s*"(\.[^"]+\.js)"', path.read_text(encoding="utf-8")
        ):
            assert (path.parent / name).is_file(), f"{path}: {name}"


def test_what_the_page_is_told(site, model):
    told = json.loads((site.path / "model" / "model.json").read_bytes())
    assert told["hello"]["screens"] == ["dream"]
    assert told["hello"]["recording"]["formats"] == ["gif"]
    assert [driver["name"] for driver in told["controllers"]] == [driver.name for driver in model.controllers]
    for driver, said in zip(model.controllers, told["controllers"], strict=True):
        assert np.array_equal(np.array(said["parameters"], np.float32), driver.parameters.numpy())
    for name, size in told["files"].items():
        assert (site.path / name).stat().st_size == size
    assert told["start_counts"] == [0, MOST_STARTS]
    numbers = np.frombuffer((site.path / "model" / "starts.bin").read_bytes(), "<f4")
    assert len(numbers) == MOST_STARTS * 2 * (32 + 256)


def test_starts_are_spread_over_the_bank():
    rows = torch.arange(100.0)[:, None]
    bank = Starts(rows, rows, rows, rows, openings=20)
    chosen = exported_starts(bank)
    assert (len(chosen), chosen.openings) == (MOST_STARTS, 0)
    assert chosen.mu[0].item() == 20
    assert chosen.mu[-1].item() >= 98
    assert len(set(chosen.mu[:, 0].tolist())) == MOST_STARTS
    assert starts_file(chosen)[:4] == np.float32(20).tobytes()


def test_a_bank_of_openings_is_taken_as_such():
    rows = torch.arange(3.0)[:, None]
    chosen = exported_starts(Starts(rows, rows, rows, rows, openings=3))
    assert (chosen.mu[:, 0].tolist(), chosen.openings) == ([0, 1, 2], 3)


def test_describing_needs_no_files(model):
    told = describe(model, exported_starts(model.starts), {})
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@pytest.mark.usefixtures("quick_graphs")
def test_an_export_replaces_a_former_one(model, tmp_path):
    out = tmp_path / "new" / "site"
    first = write_site(model, out)
    (out / "index.html").write_text("old")
    again = write_site(model, out)
    assert (out / "index.html").read_text() != "old"
    assert again.files == first.files
    assert [path.name for path in out.parent.iterdir()] == ["site"]
    assert json.loads((out / MARK).read_bytes())["files"] == sorted(
        name for name in again.files if name != MARK
    )


@pytest.mark.usefixtures("quick_graphs")
def test_an_empty_folder_is_welcome(model, tmp_path):
    out = tmp_path / "site"
    out.mkdir()
    assert write_site(model, out).path == out
    assert (out / "index.html").is_file()


@pytest.mark.usefixtures("quick_graphs")
def test_other_things_are_left_alone(model, tmp_path):
    diary = tmp_path / "diary.txt"
    diary.write_text("dear diary")
    with pytest.raises(UserError, match="is a folder with other things in it; choose another"):
        write_site(model, tmp_path)
    with pytest.raises(UserError, match="exists and is no folder"):
        write_site(model, diary)
    out = tmp_path / "site"
    write_site(model, out)
    (out / "CNAME").write_text("dreams.example")
    with pytest.raises(UserError, match="has CNAME in it, which did not come with the export"):
        write_site(model, out)
    link = tmp_path / "link"
    link.symlink_to(out)
    with pytest.raises(UserError, match="no folder"):
        write_site(model, link)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["diary.txt", "link", "site"]
    assert diary.read_text() == "dear diary"
    assert (out / "CNAME").exists()


@pytest.mark.usefixtures("quick_graphs")
def test_a_failed_export_leaves_the_former_one(model, tmp_path, monkeypatch):
    out = tmp_path / "site"
    former = write_site(model, out)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sites, "starts_file", fail)
    with pytest.raises(UserError, match="no space left to write"):
        write_site(model, out)
    assert write_sizes(out) == former.files
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def write_sizes(out: Path) -> dict[str, int]:
    return {
        path.relative_to(out).as_posix(): path.stat().st_size for path in out.rglob("*") if path.is_file()
    }


def test_the_servers_page_becomes_one_without_a_server():
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    page = exported_page(html)
    assert page.count('content="local"') == 1
    assert page.index("Content-Security-Policy") < page.index("<script")
    with pytest.raises(ValueError, match="must have one line"):
        exported_page(page)
