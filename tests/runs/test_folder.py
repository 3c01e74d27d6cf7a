"""The run folder's names."""

from pathlib import Path

import pytest

from worldmodels.runs import folder
from worldmodels.runs.folder import PRETRAINED, RunFolder, command_for

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
    assert RUN.controller_at(1, 0.1) == Path("runs/car/controller/round-01-temperature-0.10.safetensors")
    assert RUN.temperature_score(1, 1.15) == Path("runs/car/evaluation/round-01-temperature-1.15.json")
    assert RUN.controller_at(1, 0.1, 0) == RUN.controller_at(1, 0.1)
    assert RUN.temperature_score(1, 1.15, 2).name == "round-01-temperature-1.15-seed-2.json"
    assert RUN.sweep == RUN.evaluation("sweep")
    assert RUN.ablation == RUN.evaluation("ablation")
    assert RUN.controller_of(1, "z") == Path("runs/car/controller/round-01-features-z.safetensors")
    assert RUN.controller_of(1, "z-hidden", 2).name == "round-01-features-z-hidden-seed-2.safetensors"
    assert RUN.starts == Path("runs/car/starts.safetensors")
    assert RUN.examples == Path("runs/car/examples.png")
    assert RUN.model_card == Path("runs/car/README.md")


def test_a_run_may_be_given_as_text():
    assert RunFolder("runs/car") == RUN  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "command"),
    [
        (RUN.rollouts(0) / "episode-00000.npz", "worldmodels collect runs/car"),
        (RUN.latents(0) / "episode-00000.npz", "worldmodels encode runs/car"),
        (RUN.vision(0), "worldmodels vision runs/car"),
        (RUN.resume(RUN.memory(0)), "worldmodels memory runs/car"),
        (RUN.controller_at(0, 0.1), "worldmodels evolve runs/car --temperature 0.10"),
        (RUN.resume(RUN.controller_at(0, 2.0)), "worldmodels evolve runs/car --temperature 2.00"),
        (RUN.temperature_score(0, 0.1), "worldmodels evolve runs/car --temperature 0.10"),
        (
            RUN.resume(RUN.controller_at(0, 0.1, 12)),
            "worldmodels evolve runs/car --temperature 0.10 --seed 12",
        ),
        (RUN.sweep, "worldmodels sweep runs/car"),
        (RUN.controller_of(0, "z"), "worldmodels ablate runs/car --features z"),
        (
            RUN.resume(RUN.controller_of(0, "z-hidden", 2)),
            "worldmodels ablate runs/car --features z-hidden --seeds 3",
        ),
        (
            RUN.resume(RUN.controller_of(0, "zh-untrained")),
            "worldmodels ablate runs/car --features zh-untrained",
        ),
        (RUN.ablation, "worldmodels ablate runs/car"),
        (RUN.best_controller, "worldmodels train GAME --run runs/car"),
        (RUN.evaluation("actual"), "worldmodels train GAME --run runs/car"),
        (RUN.evaluation("round-00"), "worldmodels collect runs/car"),
        (RUN.dream_score(0), "worldmodels evolve runs/car"),
        (
            RunFolder(PRETRAINED / "car").memory(0),
            f"git checkout -- {PRETRAINED}/car/memory/round-00.safetensors",
        ),
        (RUN.experiment, "worldmodels train GAME"),
        (RunFolder(Path("/x/memory/car")).vision(0), "worldmodels vision /x/memory/car"),
    ],
)
def test_every_file_has_the_command_that_makes_it(path: Path, command: str):
    assert command_for(path) == command


def test_a_negative_round_is_refused():
    with pytest.raises(ValueError, match="got -1"):
        RUN.vision(-1)


def test_a_temperature_that_no_file_can_be_named_by_is_refused():
    with pytest.raises(ValueError, match=r"multiple of 0.01, got 0.105"):
        RUN.controller_at(0, 0.105)
    for name in (lambda: RUN.controller_at(0, 0.1, -1), lambda: RUN.controller_of(0, "z", -1)):
        with pytest.raises(ValueError, match="seed must be >= 0, got -1"):
            name()


def test_controllers_of_other_temperatures_are_found(tmp_path):
    run = RunFolder(tmp_path)
    assert run.controllers_at(0) == {}
    paths = [
        run.controller_at(0, 10.5),
        run.controller_at(0, 0.1),
        run.controller_at(1, 0.1),
        run.controller(0),
        run.controller_at(0, 0.1, 1),
        run.controller_at(0, 0.3, 1),
        run.controller_of(0, "z-hidden"),
    ]
    for path in [*paths, run.resume(run.controller_at(0, 0.2))]:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert run.controllers_at(0) == {0.1: paths[1], 10.5: paths[0]}
    assert list(run.controllers_at(0)) == [0.1, 10.5]


def test_what_is_released_is_released_again(tmp_path):
    run = RunFolder(tmp_path / "car")
    assert not run.is_released
    run.path.mkdir()
    run.starts.touch()
    assert run.is_released
    for path in (run.starts, run.vision(0), run.experiment, run.controller_at(0, 0.1)):
        assert command_for(path) == f"worldmodels release RUN --name car --out {tmp_path}"


def test_in_a_copy_what_came_along_is_copied_again_and_what_was_made_is_made_again(tmp_path, monkeypatch):
    release, copy = RunFolder(tmp_path / "shelf" / "car"), RunFolder(tmp_path / "runs" / "copy")
    monkeypatch.setattr(folder, "PRETRAINED", tmp_path / "shelf")
    for run in (release, copy):
        for path in (run.starts, run.vision(2)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    copy.copied.write_text('{"release": "car"}')
    assert command_for(copy.vision(2)) == f"cp {release.vision(2)} {copy.vision(2)}"
    assert command_for(copy.controller_at(2, 0.1)) == f"worldmodels evolve {copy.path} --temperature 0.10"
    assert command_for(copy.controller_of(2, "z")) == f"worldmodels ablate {copy.path} --features z"
    assert command_for(copy.sweep) == f"worldmodels sweep {copy.path}"
    copy.copied.write_text("[]")
    assert command_for(copy.vision(2)) == f"worldmodels release RUN --name copy --out {tmp_path / 'runs'}"
