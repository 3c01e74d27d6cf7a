"""The run folder's names."""

from pathlib import Path

import pytest

from worldmodels.runs.folder import RunFolder, command_for

RUN = RunFolder(Path("runs/car"))


def test_names_of_a_run():
    assert RUN.experiment == Path("runs/car/experiment.json")
    assert RUN.rollouts(0) == Path("runs/car/rollouts/round-00")
    assert RUN.latents(1) == Path("runs/car/latents/round-01")
    assert RUN.vision(12) == Path("runs/car/vision/round-12.safetensors")
    assert RUN.memory(0) == Path("runs/car/memory/round-00.safetensors")
    assert RUN.controller(0) == Path("runs/car/controller/round-00.safetensors")
    assert RUN.resume(RUN.memory(0)) == Path("runs/car/memory/round-00.resume.safetensors")
    assert RUN.best_controller == Path("runs/car/controller/best.json")
    assert RUN.evaluation("actual") == Path("runs/car/evaluation/actual.json")
    assert RUN.metrics("memory") == Path("runs/car/metrics/memory.jsonl")
    assert RUN.tensorboard == Path("runs/car/metrics/tensorboard")
    assert RUN.media("dream.mp4") == Path("runs/car/media/dream.mp4")
    assert RUN.report == Path("runs/car/report.html")


def test_a_run_may_be_given_as_text():
    assert RunFolder("runs/car") == RUN  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "command"),
    [
        (RUN.rollouts(0) / "episode-00000.npz", "worldmodels collect runs/car"),
        (RUN.latents(0) / "episode-00000.npz", "worldmodels encode runs/car"),
        (RUN.vision(0), "worldmodels vision runs/car"),
        (RUN.resume(RUN.memory(0)), "worldmodels memory runs/car"),
        (RUN.best_controller, "worldmodels evolve runs/car"),
        (RUN.evaluation("actual"), "worldmodels evaluate runs/car"),
        (RUN.experiment, "worldmodels train"),
        (RunFolder(Path("/x/memory/car")).vision(0), "worldmodels vision /x/memory/car"),
    ],
)
def test_every_file_has_the_command_that_makes_it(path: Path, command: str):
    assert command_for(path) == command


def test_a_negative_round_is_refused():
    with pytest.raises(ValueError, match="got -1"):
        RUN.vision(-1)
