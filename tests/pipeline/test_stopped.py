"""A run that is killed or interrupted, at any moment, ends in what it would have been undisturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from worldmodels.cli import main
from worldmodels.pipeline import ending
from worldmodels.runs.folder import RunFolder

OFTEN = ["--save-every", "0.05"]
PATIENCE = 240  # seconds until a moment must have come, on a machine busy with other things


def start(run: Path, options: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "worldmodels.cli", "train", "toy", "--run", str(run), *options, *OFTEN]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=one_thread, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def stop_at(run: Path, options: Sequence[str], moment: Callable[[], bool], number: int) -> tuple[int, str]:
    """Send a signal to a training as soon as the moment has come; its exit code and what it said."""
    child = start(run, options)
    try:
        deadline = time.monotonic() + PATIENCE
        while not moment():
            assert child.poll() is None, "the training ended before the moment came"
            assert time.monotonic() < deadline, "the moment never came"
            time.sleep(0.002)
        child.send_signal(number)
        _, said = child.communicate(timeout=PATIENCE)
    finally:
        child.kill()
        child.wait()
    return child.returncode, said


def save_often(run: Path) -> None:
    """Write down for a copied run what OFTEN asks for."""
    record = json.loads((run / "experiment.json").read_text())
    record["experiment"]["save_every"] = float(OFTEN[1])
    (run / "experiment.json").write_text(json.dumps(record))


def without_media(found: dict[str, Any]) -> dict[str, Any]:
    return {name: content for name, content in found.items() if not name.startswith("media/")}


def differing(mine: dict[str, Any], undisturbed: dict[str, Any]) -> set[str]:
    assert mine.keys() == undisturbed.keys()
    return {name for name in mine if mine[name] != undisturbed[name]}


def written(path: Path) -> int:
    """When the file was last written, in nanoseconds."""
    return path.stat().st_mtime_ns if path.exists() else 0


def test_a_training_killed_again_and_again_ends_in_the_same_run(
    toy_run, tmp_path, tiny, results, monkeypatch
):
    run = tmp_path / "killed"
    vision = run / "vision/round-00.resume.safetensors"
    moments: dict[str, Callable[[], bool]] = {
        "collecting": (run / "rollouts/round-00/episode-00002.npz").exists,
        "V is trained": vision.exists,
        "V is trained, some steps later": lambda: written(vision) > seen_before,
        "encoding": (run / "latents/round-00/episode-00003.npz").exists,
        "M is trained": (run / "memory/round-00.resume.safetensors").exists,
        "C is evolved": (run / "controller/round-00.resume.safetensors").exists,
        "V is trained on": (run / "vision/round-01.resume.safetensors").exists,
        "scoring": (run / "evaluation/dream.json").exists,
    }
    for moment, has_come in moments.items():
        seen_before = written(vision)
        assert not has_come(), moment
        assert stop_at(run, tiny, has_come, signal.SIGKILL)[0] == -signal.SIGKILL, moment
    assert not (run / "report.html").exists()
    monkeypatch.setattr(
        ending, "draw", lambda *_: None
    )  # films take long and depend on nothing that is saved
    assert main(["train", "toy", "--run", str(run)]) == 0
    assert differing(results(run), without_media(results(toy_run))) == set()


@pytest.mark.parametrize(
    ("verb", "part"), [("vision", "vision"), ("memory", "memory"), ("evolve", "controller")]
)
def test_ctrl_c_is_one_sentence_and_loses_nothing(toy_copy, toy_run, tiny, verb, part):
    path = toy_copy / part / "round-01.safetensors"
    path.unlink()
    (toy_copy / "evaluation/round-01-dream.json").unlink()
    save_often(toy_copy)
    resume = RunFolder(toy_copy).resume(path)
    code, said = stop_at(toy_copy, tiny, resume.exists, signal.SIGINT)
    assert code == 130
    assert "worldmodels: stopped; what was done is kept, and the same command goes on from there" in said
    assert "Traceback" not in said
    assert resume.exists()
    assert main([verb, str(toy_copy)]) == 0
    for name in (f"{part}/round-01.safetensors", f"metrics/{verb}-01.jsonl"):
        assert (toy_copy / name).read_bytes() == (toy_run / name).read_bytes()
