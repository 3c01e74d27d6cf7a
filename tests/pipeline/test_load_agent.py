"""The agent in loops of other people's making."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

import worldmodels
from worldmodels.cli import main
from worldmodels.controller.linear import ControllerConfig
from worldmodels.envs import car_racing
from worldmodels.envs.game import game
from worldmodels.envs.pool import open_pool
from worldmodels.evaluation.score import episode_seeds
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.pipeline.train import begin
from worldmodels.presets import car_racing_demo
from worldmodels.runs import folder
from worldmodels.runs.checkpoint import save_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.vision.vae import VAE, VAEConfig
from worldmodels.worlds.agent import Agent


def drive(agent: Agent, seeds: list[int]) -> np.ndarray:
    """Scores of one episode per seed in a loop written by hand."""
    with open_pool(game("toy")) as pool:
        frames, scores = pool.reset(seeds), np.zeros(len(seeds))
        agent.reset(num_envs=len(seeds))
        while True:
            step = pool.step(agent.act(frames))
            frames = step.frames
            scores += step.rewards
            if (step.terminated | step.truncated).all():
                return scores


def test_a_loop_by_hand_scores_what_evaluate_says(toy_run, capsys):
    assert main(["evaluate", str(toy_run), "--episodes", "3", "--seed", "5", "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    agent = worldmodels.load_agent(toy_run, device="cpu")
    np.testing.assert_allclose(drive(agent, episode_seeds(5, 3)), score["scores"], rtol=1e-4)


def test_many_games_are_played_as_each_alone(toy_run):
    agent, seeds = worldmodels.load_agent(str(toy_run)), [3, 4, 5]
    alone = np.concatenate([drive(agent, [seed]) for seed in seeds])
    np.testing.assert_allclose(drive(agent, seeds), alone, rtol=1e-3)


def toy_frames(count: int, seed: int = 0) -> np.ndarray:
    """Different frames of the toy game (count, 64, 64, 3)."""
    with open_pool(game("toy")) as pool:
        return pool.reset(list(range(seed, seed + count)))


def test_begun_empties_the_memory_of_one_game_only(toy_run):
    agent, frames = worldmodels.load_agent(toy_run), toy_frames(2)
    agent.reset(num_envs=2)
    fresh = agent.act(frames)
    remembering = agent.act(frames)
    assert np.all(fresh != remembering)
    again = agent.act(frames, begun=np.array([True, False]))
    np.testing.assert_allclose(again[0], fresh[0], rtol=1e-5)
    assert again[1] != fresh[1]


def test_actions_are_held_as_in_training(toy_run):
    trained = worldmodels.load_agent(toy_run)
    agent = Agent(
        trained.spec, trained.vision, trained.model, trained.config, trained.parameters, action_repeat=4
    )
    frames = toy_frames(9)
    actions = [agent.act(frames[t : t + 1])[0, 0] for t in range(9)]
    assert actions[:4] == [actions[0]] * 4
    assert actions[4:8] == [actions[4]] * 4
    assert len({actions[0], actions[4], actions[8]}) == 3
    seldom = [trained.act(frames[t : t + 1])[0, 0] for t in (0, 4, 8)]
    np.testing.assert_allclose(actions[::4], seldom, rtol=1e-5)


def test_a_controller_of_ones_own_drives_in_the_dream_and_in_the_game(toy_run):
    """The run's own C, written by hand over what `make_dream` shows, does in the game what the run's does."""
    own = worldmodels.load_agent(toy_run, device="cpu")
    weights = own.parameters.numpy()

    def mine(seen: np.ndarray) -> np.ndarray:
        return np.tanh(seen @ weights[:-1, None] + weights[-1])

    dreams = worldmodels.make_dream(toy_run, num_envs=3, device="cpu")
    seen, _ = dreams.reset(seed=1)
    assert dreams.action_space.contains(mine(seen))
    agent = worldmodels.load_agent(toy_run, device="cpu", controller=mine)
    np.testing.assert_allclose(drive(agent, [3, 4]), drive(own, [3, 4]), rtol=1e-3)


def test_actions_of_ones_own_are_clipped_and_what_is_none_is_refused(toy_run):
    far = worldmodels.load_agent(toy_run, controller=lambda seen: np.full((len(seen), 1), 7.0))
    assert far.act(toy_frames(1)) == [[1.0]]
    for wrong in (np.zeros(1), np.zeros((1, 2)), np.full((1, 1), np.nan)):
        agent = worldmodels.load_agent(toy_run, controller=lambda seen, wrong=wrong: wrong)
        with pytest.raises(ValueError, match=r"the controller must give \(1, 1\) finite numbers"):
            agent.act(toy_frames(1))


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((64, 64, 3), np.uint8), r"got \(64, 64, 3\) uint8; for one game pass frame\[None\]"),
        (np.zeros((1, 96, 96, 3), np.uint8), r"must be \(N, 64, 64, 3\) uint8, got \(1, 96, 96, 3\) uint8"),
        (np.zeros((1, 64, 64, 3), np.float32), "float32"),
        (np.zeros((2, 64, 64, 3), np.uint8), r"2 frames for 1 games: call reset\(num_envs=2\)"),
        (np.uint8(3), "must be"),
    ],
)
def test_wrong_frames_are_refused(toy_run, frames, message):
    agent = worldmodels.load_agent(toy_run)
    with pytest.raises(ValueError, match=message):
        agent.act(frames)


def test_begun_must_name_each_game(toy_run):
    agent = worldmodels.load_agent(toy_run)
    with pytest.raises(ValueError, match="begun must be"):
        agent.act(toy_frames(1), begun=np.array([True, False]))
    with pytest.raises(ValueError, match="at least 1"):
        agent.reset(num_envs=0)


def test_what_cannot_be_loaded_says_why(toy_copy, tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "PRETRAINED", tmp_path / "pretrained")
    with pytest.raises(worldmodels.UserError, match="no weights are released yet"):
        worldmodels.load_agent("pretrained:car-racing")
    with pytest.raises(worldmodels.UserError, match="is not a run folder"):
        worldmodels.load_agent(toy_copy / "nothing")
    for path in toy_copy.glob("controller/*"):
        path.unlink()
    with pytest.raises(worldmodels.UserError, match="has no controller yet"):
        worldmodels.load_agent(toy_copy)


@pytest.fixture(scope="module")
def car_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A car whose V, M and C have learnt nothing: random weights, in a run folder as training leaves it."""
    experiment = replace(
        car_racing_demo(),
        vae=VAEConfig(latent_size=4),
        mdn_rnn=MDNRNNConfig(hidden_size=8, predicts_reward=True, predicts_end=True),
    )
    run = RunFolder(tmp_path_factory.mktemp("runs") / "car")
    experiment = begin(run, experiment, "cpu").experiment
    torch.manual_seed(0)
    vision, memory = VAE(experiment.vae), MDNRNN(experiment.mdn_rnn)
    parameters = torch.randn(experiment.controller.parameter_count)

    def save(
        kind: str, config: VAEConfig | MDNRNNConfig | ControllerConfig, weights: dict, made_from: dict
    ) -> str:
        path = getattr(run, kind)(0)
        return save_checkpoint(path, kind=kind, config=asdict(config), weights=weights, made_from=made_from)

    made_from = {"vision": save("vision", experiment.vae, vision.state_dict(), {})}
    made_from["memory"] = save("memory", experiment.mdn_rnn, memory.state_dict(), dict(made_from))
    save("controller", experiment.controller, {"parameters": parameters}, made_from)
    return run.path


def test_the_agent_drives_a_stock_car_racing(car_run):
    agent = worldmodels.load_agent(car_run, device="cpu")
    taken = []
    with gymnasium.make("CarRacing-v3") as env:
        agent.reset()
        frame, _ = env.reset(seed=1)
        for _ in range(20):
            taken.append(agent.act(np.asarray(frame)[None])[0])
            assert env.action_space.contains(taken[-1])
            frame = env.step(taken[-1])[0]
    assert [len({tuple(a) for a in taken[t : t + 4]}) for t in range(0, 20, 4)] == [1] * 5
    assert len({tuple(action) for action in taken}) > 1


def test_the_agent_drives_a_stock_vector_of_car_racings(car_run):
    agent = worldmodels.load_agent(car_run, device="cpu")
    envs = gymnasium.make_vec("CarRacing-v3", num_envs=2)
    try:
        frames, _ = envs.reset(seed=[1, 2])  # pyright: ignore[reportArgumentType]
        agent.reset(num_envs=2)
        begun = np.zeros(2, bool)
        for _ in range(10):
            actions = agent.act(frames, begun)
            assert envs.action_space.contains(actions)
            frames, _, terminated, truncated, _ = envs.step(actions)
            begun = terminated | truncated
    finally:
        envs.close()


def test_the_car_is_scored_in_gymnasium(car_run, monkeypatch, capsys):
    monkeypatch.setattr(car_racing, "CAR_RACING", replace(car_racing.CAR_RACING, max_steps=40))
    assert main(["evaluate", str(car_run), "--world", "actual", "--episodes", "1", "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert (score["game"], score["world"], score["backend"]) == ("car-racing", "actual", "gymnasium")
    assert len(score["scores"]) == 1
    assert score["steps_per_second"] == pytest.approx(40 / score["seconds"])
