"""Releases: slim half-precision copies of a run, `pretrained:NAME` wherever a RUN is asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import worldmodels
from worldmodels.cli import main
from worldmodels.pipeline import released
from worldmodels.pipeline.work import open_run
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs import folder
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.folder import RunFolder


@pytest.fixture
def copied(shelf: Path, tmp_path: Path) -> Path:
    """A copy of it, somewhere else, to do damage to."""
    return Path(shutil.copytree(shelf / "toy", tmp_path / "copied"))


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["evaluate", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def contents(path: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(p.relative_to(path)): (p.stat().st_mtime_ns, p.read_bytes())
        for p in path.rglob("*")
        if p.is_file()
    }


def test_it_holds_the_chosen_round_and_nothing_else(shelf, toy_run):
    round = json.loads((toy_run / "controller/best.json").read_text())["round"]
    expected = {"experiment.json", "starts.safetensors", "examples.png", "README.md", "controller/best.json"}
    expected |= {f"{part}/round-{round:02d}.safetensors" for part in ("vision", "memory", "controller")}
    expected |= {f"evaluation/{path.name}" for path in (toy_run / "evaluation").iterdir()}
    assert contents(shelf / "toy").keys() == expected
    for part, precision in {
        "vision": torch.float16,
        "memory": torch.float16,
        "controller": torch.float32,
    }.items():
        path = shelf / f"toy/{part}/round-{round:02d}.safetensors"
        weights = load_checkpoint(path, kind=part).weights
        assert {tensor.dtype for tensor in weights.values()} == {precision}
    assert [path.name for path in shelf.iterdir()] == ["toy"]


def test_it_scores_about_what_the_run_scores(offered, toy_run, capsys):
    options = ["--episodes", "4", "--seed", "7"]
    mine, theirs = (evaluated(capsys, run, *options) for run in ("pretrained:toy", str(toy_run)))
    np.testing.assert_allclose(mine["scores"], theirs["scores"], rtol=0.05, atol=0.5)
    options += ["--world", "dream", "--episodes", "256"]
    mine, theirs = (evaluated(capsys, run, *options) for run in ("pretrained:toy", str(toy_run)))
    error = float(np.hypot(mine["standard_error"], theirs["standard_error"]))
    assert abs(mine["mean"] - theirs["mean"]) < 4 * error  # they do not begin at the same moments
    assert evaluated(capsys, str(offered), *options)["scores"] == mine["scores"]


def test_its_agent_acts_as_the_runs(offered, toy_run):
    frames = EpisodeStore(toy_run / "rollouts/round-00").read(0).frames[:4]
    agents = [worldmodels.load_agent(run, device="cpu") for run in ("pretrained:toy", toy_run)]
    assert agents[0].vision.mu.weight.dtype == torch.float32
    mine, theirs = ([agent.act(frames[t : t + 1]) for t in range(4)] for agent in agents)
    np.testing.assert_allclose(mine, theirs, atol=5e-3)


def test_its_dream_is_filmed(offered, tmp_path):
    path = tmp_path / "dream.gif"
    assert main(["dream", "pretrained:toy", "--steps", "5", "--out", str(path)]) == 0
    with Image.open(path) as film:
        assert 2 <= getattr(film, "n_frames", 1) <= 6


def test_its_dreams_begin_where_the_runs_do(shelf, toy_run):
    run, release = (open_run(RunFolder(path), "cpu") for path in (toy_run, shelf / "toy"))
    parts, copy = run.best(), release.best()
    # 256 is more than there are openings: both banks hold all of them, and 256 later moments.
    mine, theirs = release.starts(copy.round, copy.memory, 256), run.starts(parts.round, parts.memory, 256)
    assert (len(mine), mine.openings) == (len(theirs), theirs.openings)
    for name in ("mu", "logvar", "h", "c"):
        torch.testing.assert_close(getattr(mine, name), getattr(theirs, name), atol=5e-3, rtol=5e-3)
    mean, std = released.latent_statistics(release.run)
    seen = np.concatenate([episode.mu for episode in run.seen(parts.round)])
    np.testing.assert_allclose(mean, seen.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(std, seen.std(axis=0), rtol=1e-5)


def test_its_examples_are_frames_of_the_game(shelf, toy_run):
    stores = [EpisodeStore(toy_run / f"rollouts/round-{round:02d}") for round in (0, 1)]
    played = {frame.tobytes() for store in stores for i in store.indices() for frame in store.read(i).frames}
    frames = released.examples(RunFolder(shelf / "toy"))
    assert (frames.shape, frames.dtype) == ((24, 64, 64, 3), np.uint8)
    assert {frame.tobytes() for frame in frames} <= played
    assert len({frame.tobytes() for frame in frames}) > 12


def test_a_single_episode_is_given_no_error(offered, capsys):
    assert main(["evaluate", str(offered), "--world", "dream", "--episodes", "1", "--seed", "3"]) == 0
    (said,) = capsys.readouterr().out.splitlines()
    assert "over 1 episode (seed 3, " in said
    assert "±" not in said
    assert main(["evaluate", str(offered), "--world", "dream", "--episodes", "2", "--seed", "3"]) == 0
    assert " over 2 episodes (standard error " in capsys.readouterr().out


def test_nothing_is_ever_written_to_it(offered, tmp_path, capsys):
    before = contents(offered)
    game = ["train", "toy", "--run"]
    for name in ("pretrained:toy", str(offered)):
        assert main(["evaluate", name, "--episodes", "1"]) == 0
        assert main(["evaluate", name, "--world", "dream", "--episodes", "1"]) == 0
        assert main(["dream", name, "--steps", "2", "--out", str(tmp_path / "dream.gif")]) == 0
        worldmodels.load_agent(name)
        capsys.readouterr()
        refused = [["evolve", name, "--temperature", "0.1"], [*game, name]]
        refused += [[verb, name] for verb in ("collect", "vision", "encode", "memory", "evolve")]
        refused += [["release", name, "--name", "again", "--out", str(tmp_path)]]
        for command in refused:
            assert main(command) == 2, command
            said = capsys.readouterr().err
            assert f"{offered} is a release, which is there to be used and not to be " in said
            assert said.count("\n") == 1
    assert contents(offered) == before


def test_unknown_names_get_the_known_ones(offered, capsys, monkeypatch, tmp_path):
    for name in ("pretrained:car", "pretrained:", "pretrained:../toy", "pretrained:toy/vision"):
        assert main(["evaluate", name]) == 2
        assert (
            f"{name}: there are no such weights; type pretrained:toy, or the path" in capsys.readouterr().err
        )
    monkeypatch.setattr(folder, "PRETRAINED", tmp_path / "nothing")
    assert main(["evaluate", "pretrained:toy"]) == 2
    assert "pretrained:toy: no weights are released yet; train your own with" in capsys.readouterr().err


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [cut, flip])
@pytest.mark.parametrize("part", ["vision", "memory", "controller", "starts"])
def test_damage_is_named(copied: Path, part: str, harm: Callable[[Path], None], capsys):
    path = next(copied.glob(f"{part}*/round-*.safetensors"), copied / f"{part}.safetensors")
    harm(path)
    assert main(["evaluate", str(copied), "--world", "dream", "--episodes", "1"]) == 2
    said = capsys.readouterr().err
    assert f"worldmodels: {path} is " in said
    assert f"run `worldmodels release RUN --name copied --out {copied.parent}`" in said


def test_damage_to_what_came_with_the_package_is_mended_by_git(copied, monkeypatch, capsys):
    monkeypatch.setattr(folder, "PRETRAINED", copied.parent)
    cut(copied / "starts.safetensors")
    assert main(["evaluate", "pretrained:copied", "--world", "dream", "--episodes", "1"]) == 2
    assert f"run `git checkout -- {copied / 'starts.safetensors'}`" in capsys.readouterr().err


@pytest.mark.parametrize("harm", [cut, lambda path: path.write_text("no picture"), Path.unlink])
def test_damaged_examples_are_named(copied, harm):
    harm(copied / "examples.png")
    with pytest.raises(worldmodels.UserError, match=r"examples\.png (is cut short|not found)"):
        released.examples(RunFolder(copied))


def test_parts_of_another_lineage_are_refused(copied, toy_run, capsys):
    """The run's own parts are not those of its release: other weights, other hashes."""
    for part, sentence in {
        "vision": "was made from another vision than the one in use",
        "memory": "was made from another vision than the one in use",
        "controller": "was made from another vision than the one in use",
    }.items():
        path = next((copied / part).glob("round-*.safetensors"))
        kept = path.read_bytes()
        shutil.copy(toy_run / part / path.name, path)
        assert main(["evaluate", str(copied), "--episodes", "1"]) == 2
        assert sentence in capsys.readouterr().err
        path.write_bytes(kept)
    with pytest.raises(worldmodels.UserError, match="was made from another memory"):
        released.starts(RunFolder(copied), memory="another")


def test_other_temperatures_are_released_too(toy_copy, tmp_path, capsys):
    assert (
        main(["evolve", str(toy_copy), "--temperature", "0.2", "--generations", "2", "--episodes", "1"]) == 0
    )
    record = json.loads((toy_copy / "experiment.json").read_text())
    record["command"] = "worldmodels train toy --run /somewhere/of/mine --seed 0"
    (toy_copy / "experiment.json").write_text(json.dumps(record))
    assert main(["release", str(toy_copy), "--name", "two-of-them", "--out", str(tmp_path)]) == 0
    made = open_run(RunFolder(tmp_path / "two-of-them"), "cpu")
    round = made.best().round
    path = made.run.controllers_at(round)[0.2]
    made_from = {"vision": made.vision(round)[1], "memory": made.memory(round)[1]}
    load_checkpoint(path, kind="controller", made_from=made_from)
    score = json.loads(made.run.temperature_score(round, 0.2).read_text())
    card = made.run.model_card.read_text()
    assert (
        f"| the C evolved at temperature 0.20, actual game | {score['actual']['mean']:.0f}".replace("-", "−")
        in card
    )
    assert "`worldmodels train toy --run runs/two-of-them --seed 0`" in card
    assert not any(b"/somewhere" in path.read_bytes() for path in made.run.path.rglob("*") if path.is_file())

    path = RunFolder(toy_copy).controller_at(round, 0.2)
    shutil.copy(toy_copy / f"controller/round-{1 - round:02d}.safetensors", path)
    assert main(["release", str(toy_copy), "--name", "third", "--out", str(tmp_path)]) == 2
    assert f"{path} was made from another memory than the one in use" in capsys.readouterr().err
    assert not list(tmp_path.glob("third*"))


def test_what_a_killed_score_left_behind_stays_behind(toy_copy, tmp_path):
    run = RunFolder(toy_copy)
    run.resume(run.evaluation("actual")).write_text("{}")
    assert main(["release", str(toy_copy), "--name", "killed", "--out", str(tmp_path)]) == 0
    made = {path.name for path in (tmp_path / "killed/evaluation").iterdir()}
    assert "actual.json" in made
    assert not any("resume" in name for name in made)


def test_what_cannot_be_released_says_why(toy_copy, shelf, tmp_path, capsys):
    def refused(name: str, out: Path) -> str:
        assert main(["release", str(toy_copy), "--name", name, "--out", str(out)]) == 2
        return capsys.readouterr().err

    for name in ("", "Toy", "../toy", "a b", "-", "toy."):
        assert f"small letters, digits and hyphens, as in car-racing-demo, got {name!r}" in refused(
            name, tmp_path
        )
    assert f"{shelf / 'toy'} exists; delete it, or choose another --name" in refused("toy", shelf)
    (toy_copy / "controller/best.json").unlink()
    assert f"{toy_copy} is not finished; first run `worldmodels train toy --run {toy_copy}`" in refused(
        "a", tmp_path
    )
