"""Damaged, foreign and mismatched parts of a run: one sentence that says what to type, and no traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from worldmodels.cli import main
from worldmodels.pipeline.work import open_run
from worldmodels.runs import checkpoint
from worldmodels.runs.folder import RunFolder, command_for
from worldmodels.runs.lock import locked


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("worldmodels: ")
    return said.removeprefix("worldmodels: ")


def not_yet(run: Path, *names: str) -> None:
    """Undo stages by removing the files that say they are finished."""
    for name in names:
        (run / name).unlink()


def test_other_settings_do_not_go_on_with_a_run(toy_run, tiny, capsys):
    said = refused(capsys, "train", "toy", "--run", str(toy_run), *tiny, "--seed", "3")
    assert said == (
        f"{toy_run} was begun with other settings (seed 3 instead of 0): leave them out to go on with it, "
        "or choose another --run"
    )
    said = refused(capsys, "train", "car-racing", "--run", str(toy_run))
    assert f"is a run of toy: type `worldmodels train toy --run {toy_run}` to go on with it" in said


@pytest.mark.parametrize("content", ["", '{"experiment": {"ga', "[1, 2]", '{"experiment": 3}', "\0\1"])
def test_a_damaged_record_is_named(toy_copy, content, capsys):
    (toy_copy / "experiment.json").write_text(content)
    for command in (["evaluate", str(toy_copy)], ["train", "toy", "--run", str(toy_copy)]):
        assert f"{toy_copy}/experiment.json is not the record of a run" in refused(capsys, *command)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rounds": {"cuont": 3}}, "rounds.cuont is not a setting; did you mean rounds.count?"),
        ({"rounds": {"count": 0}}, "rounds.count must be at least 1, got 0"),
        ({"rounds": 2}, "rounds holds settings of its own, got 2"),
        ({"game": "chess"}, "There is no game called 'chess'"),
    ],
)
def test_wrong_settings_in_the_record_are_named(toy_copy, settings, sentence, capsys):
    record = json.loads((toy_copy / "experiment.json").read_text())
    record["experiment"] |= settings
    (toy_copy / "experiment.json").write_text(json.dumps(record))
    assert sentence in refused(capsys, "evaluate", str(toy_copy))


@pytest.mark.parametrize("part", ["vision", "memory", "controller"])
@pytest.mark.parametrize("harm", [cut, Path.unlink, lambda path: path.write_bytes(b"something else" * 99)])
def test_a_damaged_checkpoint_is_named_with_the_command_that_makes_it(
    toy_copy: Path, part: str, harm: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
):
    path = toy_copy / part / "round-01.safetensors"
    harm(path)
    (toy_copy / "controller/best.json").write_text(json.dumps({"round": 1}))
    said = refused(capsys, "evaluate", str(toy_copy), "--episodes", "1")
    verb = {"vision": "vision", "memory": "memory", "controller": "evolve"}[part]
    assert str(path) in said
    assert f"run `worldmodels {verb} {toy_copy}`" in said


def test_a_damaged_rollout_is_named(toy_copy, capsys):
    path = toy_copy / "rollouts/round-00/episode-00003.npz"
    cut(path)
    not_yet(toy_copy, "vision/round-00.safetensors")
    said = refused(capsys, "train", "toy", "--run", str(toy_copy))
    assert said.startswith(f"{path} is cut short or not an episode")
    assert said.endswith(f"delete it and run `worldmodels collect {toy_copy}`")


def test_damaged_latents_are_named(toy_copy, capsys):
    path = toy_copy / "latents/round-01/episode-00002.npz"
    cut(path)
    not_yet(toy_copy, "memory/round-01.safetensors")
    said = refused(capsys, "memory", str(toy_copy))
    assert str(path) in said
    assert said.endswith(f"run `worldmodels encode {toy_copy}`")


@pytest.mark.parametrize(
    "path",
    [
        "rollouts/round-00/episode-00003.npz",
        "latents/round-01/episode-00002.npz",
        "controller/round-01.safetensors",
        "controller/best.json",
        "evaluation/round-00.json",
    ],
)
def test_what_was_damaged_and_deleted_is_made_again(toy_copy: Path, toy_run: Path, path: str):
    """By the command that the message names, and to the same bytes."""
    (toy_copy / path).unlink()
    command = command_for(toy_copy / path).split()[1:]
    assert main(command) == 0
    assert (toy_copy / path).read_bytes() == (toy_run / path).read_bytes()
    before = (toy_copy / path).stat().st_mtime_ns
    assert main(command) == 0
    assert (toy_copy / path).stat().st_mtime_ns == before


def test_rollouts_that_were_deleted_to_save_space_are_not_played_again(
    toy_copy: Path, capsys: pytest.CaptureFixture[str]
):
    for folder in (toy_copy / "rollouts").glob("round-*/"):
        shutil.rmtree(folder)
    assert main(["train", "toy", "--run", str(toy_copy)]) == 0
    assert capsys.readouterr().out.startswith("nothing left to do")
    for command in (["dream", "--out", "a.mp4"], ["evaluate", "--world", "dream"]):
        said = refused(capsys, command[0], str(toy_copy), *command[1:])
        assert "has no episodes to begin a dream at; to play them again delete" in said


def test_what_is_played_again_is_counted_with_what_was_played_before_it(toy_copy: Path, toy_run: Path):
    for folder in (toy_copy / "rollouts").glob("round-*/"):
        shutil.rmtree(folder)
    (toy_copy / "rollouts/round-02.json").unlink()
    assert main(["collect", str(toy_copy)]) == 0
    for path in ("rollouts/round-02.json", "evaluation/round-01.json"):
        assert (toy_copy / path).read_bytes() == (toy_run / path).read_bytes()


def test_a_record_that_does_not_count_is_named(toy_copy: Path, capsys: pytest.CaptureFixture[str]):
    (toy_copy / "rollouts/round-01.json").write_text('{"episodes": 6}')
    not_yet(toy_copy, "rollouts/round-02.json")
    said = refused(capsys, "collect", str(toy_copy))
    assert "round-01.json does not say how much was played; delete it and run `worldmodels collect" in said


def test_an_unfinished_training_that_is_damaged_is_named(toy_copy, capsys):
    not_yet(toy_copy, "memory/round-01.safetensors")
    path = toy_copy / "memory/round-01.resume.safetensors"
    path.write_bytes(b"half of a file")
    assert f"{path} is cut short or not a checkpoint" in refused(capsys, "memory", str(toy_copy))


def test_a_memory_of_another_v_is_refused(toy_copy, capsys):
    shutil.copy(toy_copy / "vision/round-00.safetensors", toy_copy / "vision/round-01.safetensors")
    (toy_copy / "controller/best.json").write_text(json.dumps({"round": 1}))
    said = refused(capsys, "evaluate", str(toy_copy), "--episodes", "1")
    assert f"{toy_copy}/memory/round-01.safetensors was made from another vision than the one in use" in said
    assert f"delete it and run `worldmodels memory {toy_copy}`" in said


def test_v_and_m_exchanged_are_refused(toy_copy, capsys):
    vision, memory = (toy_copy / part / "round-00.safetensors" for part in ("vision", "memory"))
    shutil.copy(memory, vision)
    (toy_copy / "controller/best.json").write_text(json.dumps({"round": 0}))
    said = refused(capsys, "evaluate", str(toy_copy), "--episodes", "1")
    assert f"{vision} holds a memory checkpoint where vision is needed" in said


def test_weights_that_are_not_numbers_are_refused(toy_copy, capsys, monkeypatch):
    parts = open_run(RunFolder(toy_copy), "cpu").parts(0)
    path = toy_copy / "controller/round-00.safetensors"
    saved = checkpoint.load_checkpoint(path, kind="controller")
    parameters = torch.full_like(parts.parameters, torch.nan)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_not_finite", lambda _: None)
        checkpoint.save_checkpoint(
            path,
            kind="controller",
            config=saved.config,
            weights={"parameters": parameters},
            made_from=saved.made_from,
        )
    (toy_copy / "controller/best.json").write_text(json.dumps({"round": 0}))
    said = refused(capsys, "evaluate", str(toy_copy), "--episodes", "1")
    assert f"{path} is of no use: its weight parameters has values that are not finite" in said


def test_a_damaged_choice_of_round_is_named(toy_copy, capsys):
    path = toy_copy / "controller/best.json"
    for content in ("{", '{"round": "first"}', "[]"):
        path.write_text(content)
        assert str(path) in refused(capsys, "evaluate", str(toy_copy), "--episodes", "1")


def test_a_run_in_use_is_left_alone(toy_run, capsys):
    with locked(toy_run):
        for command in (["train", "toy", "--run", str(toy_run)], ["collect", str(toy_run)]):
            said = refused(capsys, *command)
            assert f"{toy_run} is in use by process " in said
            assert "wait for it, stop it, or choose another --run" in said


def test_a_film_that_cannot_be_written_is_named(toy_run, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    said = refused(capsys, "dream", str(toy_run), "--steps", "1", "--out", str(tmp_path / "file/dream.gif"))
    assert "dream.gif cannot be written" in said


def test_a_backend_that_the_game_has_not_is_named(toy_run, capsys):
    said = refused(capsys, "evaluate", str(toy_run), "--episodes", "1", "--backend", "envpool")
    assert said.startswith("toy is played in this process and has no backends: leave out --backend envpool")


def test_a_run_of_a_game_that_is_not_there_is_not_begun(tmp_path, monkeypatch, capsys):
    (tmp_path / "Box2D.py").write_text("raise ImportError('No module named Box2D')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # of the workers that play
    said = refused(capsys, "train", "car-racing", "--run", str(tmp_path / "run"))
    assert said.endswith('Type: pip install "gymnasium[box2d]"')
    assert not (tmp_path / "run").exists()
