"""`finished`: a small run folder with everything a report reads, made up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worldmodels.report.pictures import write_png
from worldmodels.report.video import write_video
from worldmodels.runs.folder import RunFolder

SCORES = [120.0, 480.0, -20.5, 610.0]


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def scored(mean: float, scores: list[float] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "mean": mean,
        "std": 190.0,
        "standard_error": 47.5,
        "episodes": 4,
        "scores": scores or SCORES,
    } | more


def write_experiment(run: RunFolder) -> None:
    experiment = {"game": "car-racing", "seed": 0, "action_repeat": 4, "rounds": {"horizons": [50, 25]}}
    machine = {"cpu": "Example 9000", "cores": 2, "memory_gb": 16.0, "gpu": None}
    write(
        run.experiment,
        {
            "experiment": experiment,
            "versions": {"torch": "2.13.0"},
            "machine": machine,
            "started": "2025-01-02T03:04:05+00:00",
            "command": "worldmodels train car-racing",
            "git_commit": None,
        },
    )


def write_logs(run: RunFolder) -> None:
    for round in range(2):
        steps = range(0, 60, 3)
        vision = [{"step": s, "loss": 90 - s, "reconstruction": 70 - s, "kl": 20.0} for s in steps]
        memory = [{"step": s, "loss": 2.0, "nll": 1.5 - s / 100, "reward": 0.3, "end": 0.01} for s in steps]
        evolve = [
            {"step": s, "best": 9.0 + s, "mean": 1.0 + s, "worst": -8.0, "sigma": 0.1} for s in range(10)
        ]
        for kind, lines in (("vision", vision), ("memory", memory), ("evolve", evolve)):
            write_lines(run.metrics(f"{kind}-{round:02d}"), lines)
        dream, actual = scored(40.0, per_1000_steps=200.0), scored(297.4, disturbed_scores=[100.0, 200.0])
        content = {"round": round, "dream": dream, "actual": actual, "game_steps": 5000 * (round + 1)}
        write(run.evaluation(f"round-{round:02d}"), content)
    stage = {
        "stage": "vision",
        "seconds": 61.0,
        "summary": "V learned",
        "unit": "frames",
        "peak_memory_mb": 812.5,
    }
    write_lines(run.metrics("stages"), [stage | {"round": round, "rate": 640.0} for round in range(2)])


def write_media(run: RunFolder) -> None:
    frames = np.random.default_rng(0).integers(0, 256, size=(4, 32, 32, 3), dtype=np.uint8)
    for name in ("reconstructions.png", "samples.png", "strip.png"):
        write_png(run.media(name), frames[0])
    for name in ("comparison.mp4", "dream.mp4", "drive.mp4"):
        write_video(run.media(name), frames, fps=12.5)


@pytest.fixture(scope="session")
def example(tmp_path_factory) -> Path:
    run = RunFolder(tmp_path_factory.mktemp("example") / "car")
    write_experiment(run)
    write_logs(run)
    write_media(run)
    write(run.evaluation("actual"), scored(297.4))
    write(run.evaluation("random"), scored(-45.2, [-50.0, -40.4], world="actual"))
    write(run.best_controller, {"round": 1, "mean": 297.4, "game_steps": 12_000})
    return run.path


@pytest.fixture
def finished(example, tmp_path) -> RunFolder:
    """A finished run: nothing is missing. The test may change it."""
    shutil.copytree(example, tmp_path / "car")
    return RunFolder(tmp_path / "car")
