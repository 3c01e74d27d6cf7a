"""Numbers as people read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from worldmodels.report.data import Scores, read_run
from worldmodels.report.wording import command, count, duration, flat, mean_and_error, memory, points, rate
from worldmodels.runs.folder import RunFolder


def test_scores():
    assert [points(x) for x in (1234.6, -3.2, -0.4, None, float("nan"))] == ["1,235", "−3", "0", "–", "–"]
    assert mean_and_error(Scores(297.4, 12.6)) == "297 ± 13"
    assert mean_and_error(Scores(297.4)) == "297"
    assert mean_and_error(None) == "–"
    assert count(57344) == "57,344"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0.04, "0.0 s"), (9.9, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (60, "1 min"),
        (185, "3 min 5 s"), (7200, "2 h"), (7799, "2 h 9 min"), (4_027_120, "46 d 14 h"),
    ],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_rates_and_memory():
    assert rate(3412.3, "frames") == "3,412 frames/s"
    assert rate(5.62, "steps/s") == "5.6 steps/s"
    assert rate(0.257, "generations") == "0.26 generations/s"
    assert rate(None, "frames") == "–"
    assert [memory(x) for x in (None, 812.4, 1432.0)] == ["–", "812 MB", "1.4 GB"]


def test_settings_are_flat_and_in_their_order():
    nested = {
        "seed": 0,
        "memory": {"hidden_size": 256, "clip": None, "name": "M"},
        "empty": {},
        "list": [1, "τ"],
    }
    assert list(flat(nested)) == [
        ("seed", "0"),
        ("memory.hidden_size", "256"),
        ("memory.clip", "none"),
        ("memory.name", "M"),
        ("empty", "{}"),
        ("list", '[1, "τ"]'),
    ]


def test_commands_can_be_pasted(tmp_path):
    path = tmp_path / "my run; rm"
    path.mkdir()
    assert command(read_run(RunFolder(path)), "vision") == f"worldmodels vision '{path}'"
    run = read_run(RunFolder(Path("runs/none")))
    assert command(run, "everything") == "worldmodels train car-racing --run runs/none"
