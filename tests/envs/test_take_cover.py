"""Take Cover by the pool is ViZDoom's own game, whatever is played beside it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worldmodels.envs.game import game
from worldmodels.envs.pool import EpisodePool, PoolStep, open_pool

pytest.importorskip("vizdoom")
SPEC = game("take-cover")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stock")


@pytest.fixture
def stock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The game as everybody has it."""
    import gymnasium
    import vizdoom.gymnasium_wrapper  # noqa: F401 (registers it)

    monkeypatch.chdir(folder)  # it writes into the folder that it runs in
    made = gymnasium.make("VizdoomTakeCover-v1", max_episode_steps=SPEC.max_steps, disable_env_checker=True)
    yield made
    made.close()


def dodge(seed: int, tics: int) -> np.ndarray:
    """Actions (tics, 1), each held for 10 tics, so that somebody who plays them moves."""
    steps = np.random.default_rng(seed).uniform(-1, 1, (tics // 10 + 1, 1)).astype(np.float32)
    return np.repeat(steps, 10, axis=0)[:tics]


def play(pool: EpisodePool, seeds: list[int], tics: int) -> list[PoolStep]:
    pool.reset(seeds)
    return [pool.step(np.stack([dodge(seed, tics)[tic] for seed in seeds])) for tic in range(tics)]


@pytest.mark.parametrize("seed", [3, 4])
def test_the_pool_plays_the_stock_game_to_the_death(stock: Any, seed: int):
    """Rewards, length and every frame, but for the black one that the dead see."""
    with open_pool(SPEC, workers=1) as pool:
        seen = pool.reset([seed])[0]
        observation, _ = stock.reset(seed=seed)
        np.testing.assert_array_equal(seen, SPEC.observe(observation["screen"][None])[0])
        assert seen.std() > 10, "there is something to see"
        died, tics, actions = False, 0, dodge(seed, SPEC.max_steps)
        while not died:
            step = pool.step(actions[tics][None])
            action = int(SPEC.game_actions(actions[tics][None])[0])
            observation, reward, died, truncated, _ = stock.step(action)
            tics += 1
            assert step.rewards[0] == reward
            assert (step.terminated[0], step.truncated[0]) == (died, truncated)
            if died:
                assert not observation["screen"].any(), "ViZDoom shows the dead something now: give them that"
                np.testing.assert_array_equal(step.frames[0], seen)
            else:
                seen = step.frames[0]
                np.testing.assert_array_equal(seen, SPEC.observe(observation["screen"][None])[0])
        assert pool.steps_taken.tolist() == [tics]
    assert 50 < tics < 1000


def test_after_a_held_action_the_dead_see_the_last_tic_of_their_life():
    actions = dodge(3, SPEC.max_steps)
    lives: list[list[PoolStep]] = []
    for repeat in (1, 10):
        with open_pool(SPEC, workers=1, action_repeat=repeat) as pool:
            pool.reset([3])
            lives.append([pool.step(actions[0][None])])
            while not lives[-1][-1].terminated[0]:
                lives[-1].append(pool.step(actions[len(lives[-1]) * repeat][None]))
            tics = int(pool.steps_taken[0])
        assert tics == len(lives[0]), "the same episode: its actions are held for 10 tics anyway"
    single, held = lives
    assert tics % 10 != 1, "with this seed death comes within a turn, not at its first tic"
    np.testing.assert_array_equal(held[-1].frames, single[-1].frames)
    assert np.any(held[-1].frames != held[-2].frames)


def test_an_episode_is_cut_off_after_a_minute(stock: Any):
    """By Gymnasium's TimeLimit, with its picture; here after 40 tics instead of 2,100."""
    assert SPEC.max_steps == 2100
    with open_pool(replace(SPEC, max_steps=40)) as pool:
        steps = play(pool, [3, 4], 41)
        assert pool.steps_taken.tolist() == [40, 40]
    assert [step.truncated.all() for step in steps[37:]] == [False, False, True, True]
    assert not steps[-1].terminated.any()
    observation, _ = stock.reset(seed=3)
    for action in SPEC.game_actions(dodge(3, 41))[:40]:
        observation, *_ = stock.step(int(action))
    np.testing.assert_array_equal(steps[39].frames[0], SPEC.observe(observation["screen"][None])[0])


def test_an_episode_is_a_function_of_its_seed_and_actions():
    """Not of its place, its neighbours, their deaths, the number of workers, nor of what was played before."""
    seeds = [5, 6, 7, 8, 9]
    with open_pool(SPEC, workers=2) as pool:
        together = play(pool, seeds, 200)
        assert together[-1].terminated.any()
        assert not together[60].terminated.any()
        again = play(pool, seeds[::-1], 200)
        fewer = play(pool, [8], 200)
    with open_pool(SPEC, workers=3) as pool:
        elsewhere = play(pool, [8, 1, 5], 200)
    for steps, row, place in ((again, 1, 3), (fewer, 0, 3), (elsewhere, 0, 3), (elsewhere, 2, 0)):
        for step, expected in zip(steps, together, strict=True):
            np.testing.assert_array_equal(step.frames[row], expected.frames[place])
            assert step.rewards[row] == expected.rewards[place]
            assert step.terminated[row] == expected.terminated[place]
    assert np.any(together[100].frames[0] != together[100].frames[1]), "two seeds give two episodes"
