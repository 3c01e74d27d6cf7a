"""Take Cover through the pipeline: one small run in the real ViZDoom, and all that is made of it.

Its V, M and C have learnt next to nothing; a game is cut after 90 tics, and its monsters do not shoot that fast.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import worldmodels
from worldmodels.cli import main
from worldmodels.envs import take_cover
from worldmodels.evaluation.score import episode_seeds
from worldmodels.pipeline.play import play_model
from worldmodels.pipeline.work import open_run
from worldmodels.runs import folder
from worldmodels.runs.checkpoint import load_checkpoint, save_checkpoint
from worldmodels.runs.folder import RunFolder

pytest.importorskip("vizdoom")

TICS = 90  # of a game here, so that a test takes seconds
SMALL = {
    "collect.first-episodes": 3,
    "collect.first-ticks": 40,
    "collect.shortest": 0,
    "collect.batch": 3,
    "collect.trials": 1,
    "rounds.vision-steps": 4,
    "rounds.memory-steps": 6,
    "rounds.generations": 2,
    "rounds.horizons": 20,
    "mdn-rnn.hidden-size": 16,
    "vision.batch-size": 8,
    "memory.batch-size": 4,
    "dream.starts": 8,
    "dream.horizon": 20,
    "evolution.population": 4,
    "evolution.repeats": 1,
    "evaluation.episodes": 1,
    "evaluation.random-episodes": 1,
    "evaluation.dream-episodes": 4,
}


@pytest.fixture(scope="module", autouse=True)
def _short_games() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(take_cover, "TAKE_COVER", replace(take_cover.TAKE_COVER, max_steps=TICS))
        yield


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, one_thread: Callable[[], AbstractContextManager[None]]
) -> Path:
    """A finished run with a C of large random numbers, which does not do the same thing all the time."""
    path = tmp_path_factory.mktemp("runs") / "doom"
    words = [word for name, number in SMALL.items() for word in (f"--{name}", str(number))]
    with one_thread():
        assert main(["train", "take-cover", "--run", str(path), "--device", "cpu", *words]) == 0
    made = RunFolder(path).controller(0)
    evolved = load_checkpoint(made, kind="controller")
    torch.manual_seed(0)
    restless = 10 * torch.randn_like(evolved.weights["parameters"])
    save_checkpoint(
        made,
        kind="controller",
        config=evolved.config,
        weights={"parameters": restless},
        progress=evolved.progress,
        made_from=evolved.made_from,
    )
    return path


@pytest.fixture(scope="module")
def shelf(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the release `doom`; not to be written to."""
    out = tmp_path_factory.mktemp("shelf")
    assert main(["release", str(run), "--name", "doom", "--out", str(out)]) == 0
    return out


def stock_game() -> gymnasium.Env[Any, Any]:
    """The game as anybody makes it."""
    importlib.import_module("vizdoom.gymnasium_wrapper")
    return gymnasium.make("VizdoomTakeCover-v1")


def evaluated(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["evaluate", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


# The agent in a loop of somebody else's.


def test_a_stock_loop_plays_what_evaluate_plays(run, tmp_path, monkeypatch, capsys):
    """The same seed, the same episode, tic by tic: numbered actions for the game, continuous ones for M."""
    monkeypatch.chdir(tmp_path)  # ViZDoom leaves its litter where it runs
    agent = worldmodels.load_agent(run, device="cpu")
    work = open_run(RunFolder(run), "cpu")
    parts = work.best()
    seed, score, taken, ended = episode_seeds(5, 1)[0], 0.0, [], False
    with work.pool("gymnasium") as pool, stock_game() as game:
        driver = work.driver(parts)
        driver.start([seed])
        seen = pool.reset([seed])
        observation, _ = game.reset(seed=seed)
        agent.reset(num_envs=1)
        while not ended and len(taken) < TICS:
            action = agent.act(observation["screen"][None])
            assert (action.shape, action.dtype) == ((1,), np.int64)
            assert game.action_space.contains(action[0])
            chosen = driver.act(seen)
            np.testing.assert_array_equal(action, work.spec.game_actions(chosen))
            np.testing.assert_allclose(agent._actions.numpy(), chosen, atol=1e-6)  # what M is told
            step = pool.step(chosen)
            seen = step.frames
            observation, reward, terminated, truncated, _ = game.step(action[0])
            score, ended = score + float(reward), bool(terminated or truncated)
            taken.append(int(action[0]))
            if not ended:
                np.testing.assert_array_equal(work.spec.observe(observation["screen"][None]), seen)
    assert len(set(taken)) > 1, "a C that never changes its mind would prove little"
    found = evaluated(capsys, str(run), "--episodes", "1", "--seed", "5", "--device", "cpu")
    assert found["scores"] == [score]
    assert (found["game"], found["backend"]) == ("take-cover", "gymnasium")


def test_the_agent_takes_whole_observations(run):
    agent = worldmodels.load_agent(run, device="cpu")
    frames = np.random.default_rng(0).integers(0, 256, (2, 240, 320, 3), np.uint8)
    agent.reset(num_envs=2)
    plain = agent.act(frames)
    agent.reset(num_envs=2)
    np.testing.assert_array_equal(agent.act({"screen": frames, "gamevariables": np.zeros((2, 1))}), plain)
    with pytest.raises(ValueError, match=r'for one game pass observation\["screen"\]\[None\]'):
        agent.act({"screen": frames[0]})
    with pytest.raises(ValueError, match=r"take-cover must have 'screen' in them, got \['depth'\]"):
        agent.act({"depth": frames})


# The dream as Gymnasium's environments.


def test_gymnasiums_checker_passes(run):
    env = gymnasium.make("worldmodels/Dream-v0", run=run, observation="frames", render_mode="rgb_array")
    assert env.action_space == gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    check_env(env.unwrapped)
    env.close()


def test_dreams_pay_a_point_a_tick_and_come_again_by_their_seed(run):
    dreams = worldmodels.make_dream(run, num_envs=3, temperature=1.0, horizon=6, render_mode="rgb_array")
    assert dreams.metadata["render_fps"] == 35
    actions = np.random.default_rng(0).uniform(-1, 1, (6, 3, 1)).astype(np.float32)

    def dreamt() -> list[np.ndarray]:
        observations = [dreams.reset(seed=4)[0]]
        for action in actions:
            observation, rewards, *_ = dreams.step(action)
            observations.append(observation)
            np.testing.assert_array_equal(rewards, np.ones(3))
        return observations

    with torch.no_grad():
        dreams._world.weights.head_bias[-1] = -9.0  # this M, which has learnt nothing, must not end a dream
    first = dreamt()
    np.testing.assert_array_equal(np.stack(first), np.stack(dreamt()))
    assert first[0].shape == (3, 64 + 2 * 16)  # z, c, h
    painted = dreams.render()
    assert painted is not None
    assert painted[0].shape == (64, 64, 3)
    assert painted[0].std() > 0


# Its release, and the verbs on it.


def test_a_release_is_small_and_is_used_as_the_run(run, shelf, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(folder, "PRETRAINED", shelf)
    for part, precision in {"vision": torch.float16, "memory": torch.float16}.items():
        weights = load_checkpoint(shelf / f"doom/{part}/round-00.safetensors", kind=part).weights
        assert {tensor.dtype for tensor in weights.values()} == {precision}
    assert max(path.stat().st_size for path in (shelf / "doom").rglob("*")) < 16_000_000
    dream = ["--world", "dream", "--episodes", "8", "--temperature", "1.3"]
    assert evaluated(capsys, "pretrained:doom", *dream)["temperature"] == 1.3
    assert len(evaluated(capsys, "pretrained:doom", "--episodes", "1", "--device", "cpu")["scores"]) == 1
    film = tmp_path / "dream.gif"
    assert main(["dream", "pretrained:doom", "--steps", "4", "--out", str(film)]) == 0
    assert film.exists()
    model = play_model(RunFolder(shelf / "doom"), "cpu")
    assert model.spec.name == "take-cover"
    assert model.openings == 1


def test_the_model_card_speaks_of_tics_and_not_of_driving(shelf):
    card = (shelf / "doom/README.md").read_text()
    assert "tics survived" in card
    for word in ("drive", "track", "car "):
        assert word not in card.lower(), word


# What is made to be looked at.


def test_a_run_is_made_ready_to_be_played(run):
    model = play_model(RunFolder(run), "cpu")
    assert model.memory.config.restart_flag
    assert not model.memory.config.predicts_reward
    assert model.openings == 1  # where C's own dreams begin
    score = model.controllers[0].dream_score
    assert score is not None
    assert "per_1000_steps" not in score  # of a dream that pays a point a tick it says nothing
    assert model.starts.openings > 0
    assert (model.starts.h[: model.starts.openings] == 0).all()


def test_the_report_speaks_of_the_game(run):
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Learning to dodge inside a dream" in page
    assert "1,092" in page
    assert "CarRacing" not in page
    assert "take another road" not in page


def test_films_have_the_speed_of_the_game(run):
    for name in ("drive.mp4", "comparison.mp4", "dream.mp4"):
        with av.open(str(run / "media" / name)) as video:
            assert float(video.streams.video[0].average_rate or 0) == 35, name
