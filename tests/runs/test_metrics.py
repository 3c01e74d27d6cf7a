"""The metrics log: nothing lost at a kill, nothing twice after a resume."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodels.errors import UserError
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.metrics import MetricsLog, read_metrics


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def write(run: RunFolder, steps: range, keep_before: int | None = None) -> None:
    with MetricsLog(run, "memory", keep_before) as log:
        for step in steps:
            log.write(step, loss=1 / (step + 1))


def steps(run: RunFolder) -> list[int]:
    return [line["step"] for line in read_metrics(run, "memory")]


def test_lines_come_back(run: RunFolder):
    with MetricsLog(run, "memory") as log:
        log.write(0, loss=2.5, rate=1e-3)
        log.write(1, loss=torch.tensor(0.5), rate=np.float32(2))  # type: ignore[arg-type]
    assert read_metrics(run, "memory") == [
        {"step": 0, "loss": 2.5, "rate": 0.001},
        {"step": 1, "loss": 0.5, "rate": 2.0},
    ]
    assert run.metrics("memory").read_text().splitlines()[0] == '{"step": 0, "loss": 2.5, "rate": 0.001}'


def test_no_log_has_no_lines(run: RunFolder):
    assert read_metrics(run, "memory") == []


def test_a_value_that_is_not_finite_is_null_in_the_file_and_nan_when_read(run: RunFolder):
    with MetricsLog(run, "memory") as log:
        log.write(0, loss=math.nan, other=math.inf)
    assert run.metrics("memory").read_text() == '{"step": 0, "loss": null, "other": null}\n'
    assert math.isnan(read_metrics(run, "memory")[0]["loss"])


def test_a_resume_writes_no_step_twice(run: RunFolder):
    write(run, range(10))
    write(run, range(6, 12), keep_before=6)
    assert steps(run) == list(range(12))


def test_without_keep_before_the_log_goes_on(run: RunFolder):
    write(run, range(3))
    write(run, range(3, 5))
    assert steps(run) == list(range(5))


@pytest.mark.parametrize("torn", ['{"step": 3, "lo', '{"step": 3, "loss": 1.0}', "{"])
def test_a_torn_last_line_is_left_out_and_then_removed(run: RunFolder, torn: str):
    write(run, range(3))
    with run.metrics("memory").open("a") as file:
        file.write(torn)  # without its newline: the kill came before it
    assert steps(run) == [0, 1, 2]
    write(run, range(3, 5))
    assert steps(run) == list(range(5))


def test_a_kill_loses_no_line(run: RunFolder):
    code = (
        "import os, sys; from pathlib import Path; from worldmodels.runs.metrics import MetricsLog\n"
        "from worldmodels.runs.folder import RunFolder\n"
        "log = MetricsLog(RunFolder(Path(sys.argv[1])), 'memory')\n"
        "for step in range(50): log.write(step, loss=1.0)\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(run.path)], check=False).returncode == -9
    assert steps(run) == list(range(50))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
def test_a_full_disk_is_one_sentence(run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    log = MetricsLog(run, "memory")
    log._file.close()
    monkeypatch.setattr(log, "_file", open("/dev/full", "wb"))  # noqa: SIM115 - closed by the log
    with pytest.raises(UserError, match=r"no space left to write .*memory\.jsonl"):
        log.write(0, loss=1.0)
    with pytest.raises(UserError, match=r"no space left to write .*memory\.jsonl"):
        log.close()


def test_tensorboard_gets_the_same_numbers(run: RunFolder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write(run, range(3))
    board = EventAccumulator(str(run.tensorboard / "memory"))
    board.Reload()
    assert [(e.step, round(e.value, 4)) for e in board.Scalars("loss")] == [(0, 1.0), (1, 0.5), (2, 0.3333)]
