"""A run that goes on from another one: at its V, M and C, of which it keeps copies, and with its frames counted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from worldmodels.cli import main
from worldmodels.errors import UserError
from worldmodels.evolution.controllers import load_controller
from worldmodels.memory.train import read_memory
from worldmodels.pipeline import growing
from worldmodels.pipeline.frames import count_frames
from worldmodels.pipeline.start import keep_start, leads_to
from worldmodels.pipeline.work import open_run
from worldmodels.presets import preset
from worldmodels.report.data import read_run
from worldmodels.runs.files import read_json
from worldmodels.runs.folder import RunFolder
from worldmodels.vision.train import read_vision

UNTRAINED = ("--rounds.vision-steps", "0", "--rounds.memory-steps", "0")


@pytest.fixture(scope="module")
def gone_on(begun_at_toy: Callable[..., Path]) -> Path:
    """A run that begins at the small one and trains V and M in its second round alone; not to be written to."""
    return begun_at_toy("--seed", "7", "--rounds.vision-steps", "0", "4", "--rounds.memory-steps", "0", "20")


def test_without_steps_v_and_m_are_those_of_the_start_to_the_bit(toy_run: Path, gone_on: Path):
    for kind in ("vision", "memory"):
        source = (toy_run / kind / "round-01.safetensors").read_bytes()
        assert (gone_on / "start" / f"{kind}.safetensors").read_bytes() == source
        assert (gone_on / kind / "round-00.safetensors").read_bytes() == source
        assert (gone_on / kind / "round-01.safetensors").read_bytes() != source


def test_a_c_is_gone_on_with_where_it_is_built_alike_or_gets_a_hidden_layer(gone_on: Path):
    work = open_run(RunFolder(gone_on))
    experiment, found = work.experiment, load_controller(gone_on / "start/controller.safetensors")[0]
    assert leads_to(found, experiment, 0)
    hidden = replace(experiment, controller=replace(experiment.controller, hidden=3))
    assert not leads_to(found, hidden, 0), "evolution has no use for units that do nothing"
    gradient = replace(hidden, evolution=replace(hidden.evolution, search="gradient"))
    assert leads_to(found, gradient, 0)
    assert not leads_to(replace(found, features="z"), gradient, 0)
    assert not leads_to(replace(found, hidden=3), replace(experiment, evolution=gradient.evolution), 0)


def test_heads_that_only_learning_asks_come_to_m_and_no_release_has_them(
    begun_at_toy: Callable[..., Path], toy_run: Path, tmp_path: Path
):
    steps = ("--rounds.vision-steps", "0", "--rounds.memory-steps", "0", "4")
    run = begun_at_toy("--mdn-rnn.latents-ahead", "2", "4", *steps)
    begun, learnt = (read_memory(run / f"memory/round-{r:02d}.safetensors", None)[0] for r in (0, 1))
    assert begun.config == read_memory(toy_run / "memory/round-01.safetensors", None)[0].config
    assert learnt.config == replace(begun.config, latents_ahead=(2, 4))
    (run / "controller/best.json").write_text(
        (run / "controller/best.json").read_text().replace('"round": 0', '"round": 1')
    )
    assert main(["release", str(run), "--name", "headless", "--out", str(tmp_path)]) == 0
    (path,) = (tmp_path / "headless/memory").iterdir()
    released = read_memory(path, None)[0]
    assert released.config == begun.config
    assert torch.equal(released.head.weight, learnt.head.weight.half().float())
    assert main(["evaluate", str(tmp_path / "headless"), "--episodes", "1"]) == 0


def test_its_search_is_told_of_that_c(
    toy_run: Path, tmp_path: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch
):
    told: list[Any] = []
    sought = growing.seek
    monkeypatch.setattr(
        growing, "seek", lambda *a, **named: told.append(named["start"]) or sought(*a, **named)
    )
    for name, more in (("on", ["--evolution.no-afresh"]), ("afresh", ["--evolution.afresh"])):
        run = str(tmp_path / name)
        begun = [
            "train",
            "toy",
            "--run",
            run,
            *tiny,
            "--start",
            str(toy_run),
            *UNTRAINED,
            "--rounds.count",
            "1",
        ]
        assert main([*begun, *more]) == 0
    assert told[0].tolist() == load_controller(toy_run / "controller/round-01.safetensors")[1].tolist()
    assert told[1] is None


def test_training_goes_on_from_the_weights_of_the_start(toy_run: Path, tmp_path: Path, tiny: list[str]):
    run = tmp_path / "run"
    slowly = ["--vision.learning-rate", "1e-9", "--vision.final-learning-rate", "1e-9"]
    slowly += ["--memory.learning-rate", "1e-9", "--memory.final-learning-rate", "1e-9"]
    assert main(["train", "toy", "--run", str(run), *tiny, *slowly, "--start", str(toy_run)]) == 0
    pairs = [
        [
            read_vision(folder / "vision" / f"round-0{r}.safetensors")[0]
            for folder, r in ((toy_run, 1), (run, 0))
        ],
        [
            read_memory(folder / "memory" / f"round-0{r}.safetensors", None)[0]
            for folder, r in ((toy_run, 1), (run, 0))
        ],
    ]
    for before, after in pairs:
        for name, weights in before.state_dict().items():
            assert torch.allclose(weights, after.state_dict()[name], atol=1e-6), name


def test_the_frames_of_the_start_count(toy_run: Path, gone_on: Path):
    before = read_run(RunFolder(toy_run)).frames
    assert before is not None
    record = read_json(gone_on / "start/record.json")
    assert (record["run"], record["round"], record["game_steps"]) == (str(toy_run), 1, before)
    work = open_run(RunFolder(gone_on))
    own = sum(work.store(0).game_steps(index) for index in work.store(0).indices())
    assert count_frames(work, 0) == before + own


def test_it_needs_the_start_no_more_and_fetches_it_again_where_a_copy_is_gone(gone_on: Path, tmp_path: Path):
    run = Path(shutil.copytree(gone_on, tmp_path / "copy"))
    kept = (run / "start/memory.safetensors").read_bytes()
    (run / "start/memory.safetensors").unlink()
    assert main(["train", "toy", "--run", str(run)]) == 0
    assert (run / "start/memory.safetensors").read_bytes() == kept
    (run / "start/memory.safetensors").unlink()
    another = replace(open_run(RunFolder(run)).experiment, start=str(gone_on))  # whose last M is another one
    with pytest.raises(UserError, match="is no longer what"):
        keep_start(RunFolder(run), another)


def test_a_damaged_copy_or_record_is_named_not_passed_on_and_fetched_again(
    gone_on: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = Path(shutil.copytree(gone_on, tmp_path / "run"))
    command = ["train", "toy", "--run", str(run)]
    whole = {kind: (run / f"start/{kind}").read_bytes() for kind in ("memory.safetensors", "record.json")}
    (run / "memory/round-00.safetensors").unlink()
    (run / "rollouts/round-00.json").unlink()
    for name, content, sentence in (
        ("record.json", b"{}", "does not say how much was played"),
        ("record.json", b'{"run"', "is not complete JSON"),
        ("memory.safetensors", whole["memory.safetensors"][:500], "is cut short"),
    ):
        path = run / "start" / name
        path.write_bytes(content)
        assert main(command) == 2
        said = capsys.readouterr().err
        assert f"{path} {sentence}" in said
        assert f"delete it and run `worldmodels {' '.join(command)}`" in said
        assert not (run / "memory/round-00.safetensors").exists()
        path.unlink()
    assert main(command) == 0
    assert {kind: (run / f"start/{kind}").read_bytes() for kind in whole} == whole


def test_a_release_is_a_start_too_and_its_card_says_so(offered: Path, tmp_path: Path, tiny: list[str]):
    run = tmp_path / "run"
    short = [*tiny, *UNTRAINED, "--rounds.count", "1"]
    assert main(["train", "toy", "--run", str(run), *short, "--start", "pretrained:toy"]) == 0
    assert main(["release", str(run), "--name", "second", "--out", str(tmp_path)]) == 0
    card = (tmp_path / "second/README.md").read_text()
    assert "began at V, M and C of `pretrained:toy`" in card


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["--start", "nowhere"], "nowhere is not a run folder"),
        (["--start", "RUN", "--mdn-rnn.hidden-size", "24"], "mdn_rnn.hidden_size 24 instead of 16"),
        (["--start", "RUN", "--mdn-rnn.hidden-size", "24"], "for another M type --start-with vision"),
        (["--start", "RUN", "--start-with", "memory"], "start_with must be all or vision, got 'memory'"),
        (
            ["--start", "RUN", "--start-with", "vision", *UNTRAINED],
            "rounds.memory_steps must begin above 0, got 0",
        ),
        (["--collect.exploration", "start"], "name it by --start"),
        (
            ["--start", "pretrained:toy", "--collect.exploration", "start"],
            "pretrained:toy has no games to learn from",
        ),
        (
            ["--start", "RUN", "--collect.exploration", "start", "--action-repeat", "2"],
            "held its actions for",
        ),
        (["--start", "RUN", "--vae.latent-size", "3"], "vae.latent_size 3 instead of 8"),
        (["--rounds.vision-steps", "0"], "rounds.vision_steps must begin above 0, got 0"),
        (
            [
                "--start",
                "RUN",
                "--rounds.memory-steps",
                "0",
                "--rounds.vision-steps",
                "0",
                "--rounds.dreamers",
                "2",
            ],
            "rounds.dreamers begins with 2 Ms, of which a start has one",
        ),
    ],
)
def test_what_cannot_be_begun_at_is_named_and_leaves_nothing(
    settings: list[str],
    sentence: str,
    toy_run: Path,
    offered: Path,
    tmp_path: Path,
    tiny: list[str],
    capsys: pytest.CaptureFixture[str],
):
    run = tmp_path / "run"
    asked = [str(toy_run) if word == "RUN" else word for word in settings]
    assert main(["train", "toy", "--run", str(run), *tiny, *asked]) == 2
    assert sentence in capsys.readouterr().err
    assert not (run / "experiment.json").exists()


def test_another_game_is_no_start(toy_run: Path, tmp_path: Path):
    experiment = replace(preset("car-racing", "demo"), start=str(toy_run))
    with pytest.raises(UserError, match="is a run of toy, and this one is of car-racing"):
        keep_start(RunFolder(tmp_path / "run"), experiment)
