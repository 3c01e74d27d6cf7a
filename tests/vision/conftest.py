"""Small stores of episodes whose frames can be told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from worldmodels.rollouts.episode import Episode
from worldmodels.rollouts.store import EpisodeStore

MakeStore = Callable[[str, Sequence[int]], EpisodeStore]


def marked_episode(which: int, length: int) -> Episode:
    """An episode whose frame t says so: red is `which`, green is t; blue grows to the right."""
    frames = np.zeros((length + 1, 64, 64, 3), np.uint8)
    frames[..., 0] = which
    frames[..., 1] = np.arange(length + 1)[:, None, None]
    frames[..., 2] = np.arange(64) * 4
    rng = np.random.default_rng(which)
    return Episode(
        frames=frames,
        actions=rng.uniform(-1, 1, (length, 2)).astype(np.float32),
        rewards=rng.normal(size=length).astype(np.float32),
        terminated=which % 2 == 0,
        policy="marked",
        seed=which,
        action_repeat=1,
        game_steps=length,
    )


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """make_store(name, lengths): a store of marked episodes 0, 1, ... of these lengths."""

    def make(name: str, lengths: Sequence[int]) -> EpisodeStore:
        store = EpisodeStore(tmp_path / "run" / "rollouts" / name)
        for which, length in enumerate(lengths):
            store.write(which, marked_episode(which, length))
        return store

    return make
