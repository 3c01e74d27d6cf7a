"""One run: what is asked for, what is said, what is printed, drawn and left behind."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from worldmodels import cli
from worldmodels.bench import dreaming, learning, plot, run, table
from worldmodels.bench.measurement import Measurement
from worldmodels.bench.peaks import Peaks
from worldmodels.bench.run import NAMES, BenchConfig, Report, measure, measurement_names
from worldmodels.errors import UserError
from worldmodels.experiments import Experiment
from worldmodels.worlds.dream import DreamWorld

PEAKS = Peaks(f32_gflops=200.0, bf16_gflops=100.0, copy_gb_s=10.0)


@pytest.fixture
def quick(small: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small experiment, known peaks, nothing compiled."""
    monkeypatch.setattr(run, "preset", lambda game, name: small)
    monkeypatch.setattr(run, "measure_peaks", lambda device, budget: PEAKS)
    monkeypatch.setattr(DreamWorld, "compile", lambda world: None)
    monkeypatch.setattr(learning, "BATCH", 3)
    monkeypatch.setattr(dreaming, "TICKS", 10)


def report(small: Experiment, *found: Measurement) -> Report:
    machine = {
        "cpu": "Abacus", "cores": 2, "gpu": None, "device": "cpu", "threads": 2, "versions": {"torch": "9"}
    }  # fmt: skip
    return Report(machine, small, PEAKS, (150.0, 240.0), found)


def test_everything_is_asked_for_by_default():
    assert BenchConfig().wanted == measurement_names()
    assert {name.split(".")[0] for name in measurement_names()} == set(NAMES)


def test_some_of_it_in_the_order_of_the_whole():
    asked = BenchConfig(only=("store_read", "dream.64", "dream.4", "actual_raw"))
    assert asked.wanted == [
        "dream.4", "dream.64", "actual_raw.car_racing", "actual_raw.take_cover", "store_read"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--only vision_train,visoin", "--only visoin is not measured; type one or more of vision_train,"),
        ("--only dream.5", "--only dream.5 is not measured"),
        ("--seconds 0", "--seconds must be a positive number, got 0"),
        ("--seconds nan", "--seconds must be a positive number, got nan"),
        ("--plot bench.jpg", "--plot must end in .svg or .png, got bench.jpg"),
    ],
)
def test_wrong_input_is_answered_before_anything_is_measured(arguments, sentence, capsys, monkeypatch):
    monkeypatch.setattr(run, "measure", lambda asked: pytest.fail("it measures"))
    assert cli.main(["bench", *arguments.split()]) == 2
    assert sentence in capsys.readouterr().err


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="--device cpu"):
        measure(BenchConfig(device="cuda"))


@pytest.mark.usefixtures("quick")
def test_some_of_it_as_json_and_as_a_picture(tmp_path: Path, capsys, one_thread):
    picture = tmp_path / "deep" / "bench.svg"
    asked = [
        "--only",
        "vision_decode,dream.4,dream.16",
        "--seconds",
        "0.01",
        "--json",
        "--plot",
        str(picture),
    ]
    with one_thread():
        assert cli.main(["bench", *asked]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    # Of the peaks and three others: as much as was expected has been counted.
    assert "bench  10 expected seconds in" in said.err, "4 for the peaks, and 2 for each"
    measured = {"vision_decode", "dream.4", "dream.16"}
    flat = {
        name: value
        for part in ("rates", "seconds")
        for name, value in flattened(found[part]).items()
        if not isinstance(value, dict)
    }
    assert set(flat) == set(measurement_names()), "all names are always there"
    assert {name for name, value in flat.items() if value is not None} == measured
    for name in measured:
        low, high = flattened(found["spread"])[name]
        assert low <= flat[name] <= high
        assert flattened(found["ratios"])[name] > 0
        assert 0 < flattened(found["fractions"])[name] < 1
    assert set(found["notes"]) == set(measurement_names()) - measured
    assert found["peaks"]["copy_gb_s"] == 10.0
    assert found["machine"]["threads"] == 1
    assert picture.read_text().startswith("<?xml")
    assert [path.name for path in picture.parent.iterdir()] == ["bench.svg"]


def flattened(tree: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= (
            flattened(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
        )
    return found


@pytest.mark.usefixtures("quick")
def test_ctrl_c_leaves_nothing(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def interrupted(run: Any, *_: Any, **__: Any) -> None:
        assert list(tmp_path.glob("worldmodels-bench-*"))
        raise KeyboardInterrupt

    monkeypatch.setattr(learning, "train_memory", interrupted)
    assert cli.main(["bench", "--only", "memory_train"]) == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert "stopped at 8/16 expected seconds" in said.err, "behind the peaks"
    assert "stopped; nothing is kept of a bench that was not finished" in said.err
    assert not list(tmp_path.glob("worldmodels-bench-*"))


def test_others_are_called_with_what_is_wanted_of_them(monkeypatch, small):
    """The games, the disk and the page have tests of their own."""
    called: list[Any] = []

    def actual(games, budget, on_done, device):
        called.append(list(games))
        names = [f"backends.{games[0].replace('-', '_')}.gymnasium.{kind}" for kind in ("raw", "agent")]
        for name in names:
            on_done(name)
        return [Measurement(name, "steps", 5.0) for name in ["actual_raw.take_cover", *names]]

    def store(budget, on_done):
        called.append("store")
        on_done("store_write")
        on_done("store_read")
        return [Measurement("store_write", "frames", 7.0), Measurement("store_read", "frames", 8.0)]

    monkeypatch.setattr("worldmodels.bench.playing.measure_actual", actual)
    monkeypatch.setattr("worldmodels.bench.storing.measure_store", store)
    monkeypatch.setattr(run, "measure_peaks", lambda device, budget: PEAKS)
    found = measure(BenchConfig(only=("actual_raw.take_cover", "store_read")))
    assert called == [["take-cover"], "store"]
    content = table.as_json(found)
    assert content["rates"]["actual_raw"] == {"car_racing": None, "take_cover": 5.0}
    assert content["backends"] == {"take_cover": {"gymnasium": {"raw": 5.0, "agent": 5.0}}}
    assert content["rates"]["store_write"] == 7.0
    assert content["rates"]["browser"] is None


def test_the_table_says_what_was_found(small: Experiment):
    text = table.as_text(
        report(
            small,
            Measurement("vision_train", "frames", 1234.0, 1200.0, 1260.0, 2468.0, "products", 617.0),
            Measurement("dream.1024", "ticks", 212_345.0, 2e5, 2.2e5, 4e5, "products", None, "odd"),
            Measurement("generation", "seconds", 7.25, 7.0, 7.5, 5.8, "products", 29.0),
            Measurement("cma", "seconds", 0.058, 0.05, 0.06, 0.002, "products", 0.1),
            Measurement("search_device", "seconds", 0.04, 0.03, 0.05, 0.002, "products", 0.1),
            Measurement("actual_raw.take_cover", "steps", None, note="no vizdoom"),
            Measurement("backends.take_cover.gymnasium.raw", "steps", None, note="no vizdoom"),
            Measurement("browser", "", None, note="not asked for"),
        )
    )
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "Abacus, 2 cores, 2 threads, PyTorch 9" in lines
    assert "training 1,234 frames/s 1,200 – 1,260 2,468 products 50 % 617 2.0" in lines
    assert "1,024 at once 1) 212 k ticks/s 200 k – 220 k 400 k products 53 %" in lines
    assert "a generation 7.25 s 7 s – 7.5 s 5.8 s products 80 % 29 s 4.0" in lines
    c = lines.index("C")
    assert [line.split(" ms")[0] for line in lines[c + 2 : c + 4]] == [
        "CMA-ES, ask and tell 58", "ours, on the device 40"
    ]  # fmt: skip
    assert "take-cover, alone 2) -" in lines
    assert [line for line in lines if line.endswith(("odd", "no vizdoom"))] == ["1) odd", "2) no vizdoom"]
    assert "browser" not in text, "what nobody asked for has no line"
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0512, "0.0512"), (8.314, "8.31"), (742.4, "742"), (1310.2, "1,310"), (21_000, "21.0 k"),
     (212_345, "212 k"), (1_340_000, "1.34 M"), (25_000_000, "25.0 M")],
)  # fmt: skip
def test_numbers_have_three_digits(value, text):
    assert table.count(value) == text


@pytest.mark.parametrize(("value", "text"), [(3.2e-4, "320 us"), (0.00421, "4.21 ms"), (7.31, "7.31 s")])
def test_durations(value, text):
    assert table.seconds(value) == text


@pytest.mark.parametrize("name", ["bench.svg", "bench.png"])
def test_pictures_of_nothing_and_of_something(tmp_path: Path, small: Experiment, name: str):
    empty = Measurement("dream.4", "ticks", None, note="not asked for")
    full = Measurement("dream.64", "ticks", 50.0, 40.0, 60.0, 100.0, "products", 25.0)
    sizes = []
    for found in ((empty,), (empty, full)):
        plot.write_plot(tmp_path / name, report(small, *found))
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[0] < sizes[1]
    assert [path.name for path in tmp_path.iterdir()] == [name]
