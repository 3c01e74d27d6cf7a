"""Pictures a second of the exported page: what is made of the moments they come at, and a real browser."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from worldmodels.bench import browser
from worldmodels.bench.measurement import Budget
from worldmodels.errors import UserError
from worldmodels.export import site as sites
from worldmodels.export.runtime import FILES
from worldmodels.pipeline import export as exporting
from worldmodels.pipeline.play import play_model
from worldmodels.runs.pretrained import run_folder

# In the place of the page's V and M: a dream that costs nothing, and ends now and then.
NO_WORLD = """
export const openWorld = async () => ({
  backend: "wasm",
  ticks: 0,
  async tick({ z, h, c }) {
    return { z, h, c, reward: 1, endLogit: ++this.ticks % 50 ? -9 : 9, mixture: null };
  },
  async paint() { return new Uint8Array(64 * 64 * 3); },
});
"""


@pytest.fixture
def temporary(monkeypatch):
    """Where temporary files go; with a short name, as such folders have."""
    with tempfile.TemporaryDirectory(prefix="test-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """The page of the pretrained car without graphs, and nothing to run them."""

    def put_runtime(destination, package):
        for name in FILES:
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            (destination / name).write_bytes(b"")

    folder = tmp_path_factory.mktemp("page") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sites, "put_runtime", put_runtime)
        patch.setattr(sites, "vision_graph", lambda _: b"V")
        patch.setattr(sites, "memory_graph", lambda _: b"M")
        sites.write_site(play_model(run_folder(browser.MODEL), "cpu"), folder)
    return folder


@pytest.fixture
def world(page, monkeypatch):
    """world(javascript): the page has this in the place of its world."""
    try:
        browser.find_chromium()
    except UserError as error:
        pytest.skip(str(error))

    def choose(javascript):
        def export_run(run, out):
            assert run.path == run_folder(browser.MODEL).path
            shutil.copytree(page, out)
            (out / "static" / "js" / "local" / "world.js").write_text(javascript)

        monkeypatch.setattr(exporting, "export_run", export_run)

    monkeypatch.setattr(browser, "cache_folder", lambda: page / "ort")
    monkeypatch.setattr(browser, "WARM_UP", 0.2)
    return choose


def processes_of(folder: Path) -> list[str]:
    """Command lines of those that run with something in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended in this moment
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_it_measures_the_page_of_the_pretrained_car(world, temporary):
    """A world that costs nothing is far above what a browser's own timers allow: they wait for 4 ms."""
    world(NO_WORLD)
    heard = []
    (found,) = browser.measure_browser(Budget(seconds=1.0), heard.append)
    assert heard == [found.name] == ["browser"]
    assert found.value, found.note
    assert found.low
    assert found.high
    assert found.value > 300
    assert found.low <= found.value <= found.high
    assert found.unit == "frames"
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


def test_what_goes_wrong_in_the_page_is_the_note(world, temporary):
    world('export const openWorld = async () => { throw new Error("no dream today"); };')
    (found,) = browser.measure_browser(Budget(seconds=1.0), lambda _: None)
    assert found.value is None
    assert "no dream today" in found.note
    assert list(temporary.iterdir()) == []


def test_ctrl_c_leaves_no_browser(world, temporary, monkeypatch):
    def interrupt(running, *_):
        assert running.poll() is None
        assert processes_of(temporary) != []
        raise KeyboardInterrupt

    world(NO_WORLD)
    monkeypatch.setattr(browser, "_wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        browser.measure_browser(Budget(seconds=1.0), lambda _: None)
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


def test_a_browser_that_does_not_start_is_said(world, temporary, tmp_path, monkeypatch):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(program))
    world(NO_WORLD)
    (found,) = browser.measure_browser(Budget(seconds=1.0), lambda _: None)
    assert found.value is None
    assert "exit code 7" in found.note
    assert list(temporary.iterdir()) == []


def test_without_a_browser_or_its_runtime_there_is_a_note(tmp_path, monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = browser.measure_browser(Budget(), lambda _: None)
    assert found.value is None
    assert "install the package chromium" in found.note
    monkeypatch.setenv("CHROMIUM", os.path.realpath("/bin/sh"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (found,) = browser.measure_browser(Budget(), lambda _: None)
    assert found.value is None
    assert "`worldmodels export pretrained:car-racing-demo --out site`" in found.note


def test_rates_are_of_equal_numbers_of_pictures():
    times = np.concatenate([np.arange(11) * 10, 100 + np.arange(1, 11) * 20]).tolist()  # ms
    assert browser.group_rates(times, 4) == [100.0, 100.0, 50.0, 50.0]
    assert browser.group_rates([0.0, 5.0], 10) == [200.0, 200.0], "two at least, for quartiles"
    assert browser.group_rates([0.0, 1.0, 2.0], 10) == [1000.0, 1000.0]
    assert browser.group_rates([3.0], 10) == []
