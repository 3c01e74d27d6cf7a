"""A run that is killed or interrupted, at any moment, ends in what it would have been undisturbed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from worldmodels.cli import main

PATIENCE = 240  # seconds until a moment must have come, on a machine busy with other things


def start(run: Path, options: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "worldmodels.cli", "train", "toy", "--run", str(run), *options]
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


def differing(mine: dict[str, Any], undisturbed: dict[str, Any]) -> set[str]:
    assert mine.keys() == undisturbed.keys()
    return {name for name in mine if mine[name] != undisturbed[name]}


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_training_killed_again_and_again_ends_in_the_same_run(toy_run, tmp_path, tiny, results):
    run = tmp_path / "killed"
    moments: dict[str, Callable[[], bool]] = {
        "collecting": (run / "rollouts/round-00/episode-00002.npz").exists,
        "V is trained": (run / "vision/round-00.resume.safetensors").exists,
        "V is trained, some steps later": lambda: lines(run / "metrics/vision-00.jsonl") >= 2,
        "encoding": (run / "latents/round-00/episode-00003.npz").exists,
        "M is trained": (run / "memory/round-00.resume.safetensors").exists,
        "C is evolved": (run / "controller/round-00.resume.safetensors").exists,
        "V is trained on": (run / "vision/round-01.resume.safetensors").exists,
        "scoring": (run / "evaluation/dream.json").exists,
    }
    for moment, has_come in moments.items():
        assert not has_come(), moment
        assert stop_at(run, tiny, has_come, signal.SIGKILL)[0] == -signal.SIGKILL, moment
    assert not (run / "report.html").exists()
    assert main(["train", "toy", "--run", str(run)]) == 0
    assert differing(results(run), results(toy_run)) == set()


def test_ctrl_c_is_one_sentence_and_loses_nothing(toy_run, tmp_path, tiny, results):
    run = tmp_path / "interrupted"
    later = (
        "latents",
        "memory",
        "controller",
        "evaluation",
        "media",
        "round-01*",
        "round-02*",
        "*.html",
        "*-01.jsonl",
    )
    shutil.copytree(toy_run, run, ignore=shutil.ignore_patterns(*later, "memory-*", "evolve-*"))
    (run / "vision/round-00.safetensors").unlink()
    resume = run / "vision/round-00.resume.safetensors"
    code, said = stop_at(run, tiny, resume.exists, signal.SIGINT)
    assert code == 130
    assert "worldmodels: stopped; what was done is kept, and the same command goes on from there" in said
    assert "Traceback" not in said
    assert resume.exists()
    assert main(["vision", str(run)]) == 0
    for name in ("vision/round-00.safetensors", "metrics/vision-00.jsonl"):
        assert (run / name).read_bytes() == (toy_run / name).read_bytes()


@pytest.mark.parametrize("part", ["memory", "controller"])
def test_ctrl_c_in_other_trainings(toy_copy, toy_run, tiny, part):
    finished = {
        "memory": ["memory/round-01"],
        "controller": ["controller/round-01", "evaluation/round-01-dream"],
    }
    for path in [*toy_copy.glob("controller/best.json"), toy_copy / "report.html"]:
        path.unlink()
    for name in finished[part]:
        for path in toy_copy.glob(f"{name}.*"):
            path.unlink()
    resume = toy_copy / part / "round-01.resume.safetensors"
    code, said = stop_at(toy_copy, tiny, resume.exists, signal.SIGINT)
    assert code == 130
    assert "Traceback" not in said
    verb = {"memory": "memory", "controller": "evolve"}[part]
    assert main([verb, str(toy_copy)]) == 0
    for name in (f"{part}/round-01.safetensors", f"metrics/{verb}-01.jsonl"):
        assert (toy_copy / name).read_bytes() == (toy_run / name).read_bytes()
