"""Where dreams begin: with what an agent would remember that had lived through the episode so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from worldmodels.memory.mdn_rnn import MDNRNN, advance
from worldmodels.rollouts.latents import LatentEpisode, StoredLatents
from worldmodels.worlds.starts import BRINK, Starts, gather_starts

RandomLatents = Callable[..., LatentEpisode]


def gather(memory: MDNRNN, episodes: list[LatentEpisode], count: int, seed: int = 0) -> Starts:
    return gather_starts(memory, episodes, count, np.random.default_rng(seed))


def moment_of(starts: Starts, row: int, episodes: list[LatentEpisode]) -> tuple[int, int]:
    """Which episode, and which of its frames, a start is."""
    seen = np.concatenate([starts.mu[row], starts.logvar[row]])
    (found,) = [
        (e, t)
        for e, episode in enumerate(episodes)
        for t in range(len(episode.mu))
        if np.array_equal(np.concatenate([episode.mu[t], episode.logvar[t]]), seen)
    ]
    return found


def test_openings_are_first_frames_with_an_empty_memory(memory: MDNRNN, random_latents: RandomLatents):
    episodes = [random_latents(5, seed) for seed in range(8)]
    starts = gather(memory, episodes, count=6)
    assert starts.openings == 6
    moments = [moment_of(starts, row, episodes) for row in range(6)]
    assert [t for _, t in moments] == [0] * 6
    assert len({e for e, _ in moments}) == 6, "each episode opens once"
    assert not starts.h[:6].any()
    assert not starts.c[:6].any()


def test_later_moments_remember_every_frame_before_them(memory: MDNRNN, random_latents: RandomLatents):
    """The memory is the one that feeding the frames one by one leaves behind."""
    episodes = [random_latents(length, seed) for seed, length in enumerate((3, 9, 6))]
    starts = gather(memory, episodes, count=50)
    assert (starts.openings, len(starts)) == (3, 3 + 2 + 8 + 5), "all there are"
    weights = memory.tick_weights()
    for row in range(starts.openings, len(starts)):
        which, moment = moment_of(starts, row, episodes)
        assert 1 <= moment < episodes[which].length, "a frame after which the agent still acts"
        memories = memory.initial(1)
        for t in range(moment):
            z, action = (
                torch.from_numpy(array[t : t + 1]) for array in (episodes[which].mu, episodes[which].actions)
            )
            memories = advance(weights, z, action, memories)
        assert_close(starts.h[row], memories.h[0], rtol=1e-5, atol=1e-6)
        assert_close(starts.c[row], memories.c[0], rtol=1e-5, atol=1e-6)


def test_later_moments_are_spread_over_all_ticks(memory: MDNRNN, random_latents: RandomLatents):
    episodes = [random_latents(length, seed) for seed, length in enumerate((11, 31))]
    seen: Counter[int] = Counter()
    for seed in range(60):
        starts = gather(memory, episodes, count=8, seed=seed)
        assert len(starts) - starts.openings == 8
        seen.update(moment_of(starts, row, episodes)[0] for row in range(starts.openings, len(starts)))
    assert seen[1] / seen.total() == pytest.approx(30 / 40, abs=0.08)


@pytest.mark.parametrize("brink", [0.0, 0.5, 1.0])
def test_a_share_of_them_lies_shortly_before_the_end_of_games_that_ended(
    brink: float, memory: MDNRNN, random_latents: RandomLatents
):
    """And of these none in an episode that was cut off."""
    lengths = (400, 500, 20)
    episodes = [random_latents(length, seed, terminated=seed != 1) for seed, length in enumerate(lengths)]
    starts = gather_starts(memory, episodes, 80, np.random.default_rng(0), brink)
    assert len(starts) - starts.openings == 80
    moments = [moment_of(starts, row, episodes) for row in range(starts.openings, len(starts))]
    near = [(e, t) for e, t in moments if e != 1 and t >= lengths[e] - BRINK]
    assert {e for e, _ in near} == {0, 2}
    assert len(near) == pytest.approx(80 * (brink + (1 - brink) * 83 / 917), abs=6)


def test_the_same_generator_gives_the_same_starts(memory: MDNRNN, random_latents: RandomLatents):
    episodes = [random_latents(9, seed) for seed in range(8)]
    a, b, other = (gather(memory, episodes, count=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(a.mu, b.mu)
    assert torch.equal(a.h, b.h)
    assert not torch.equal(a.mu, other.mu)


def test_episodes_of_one_tick_have_openings_only(memory: MDNRNN, random_latents: RandomLatents):
    starts = gather(memory, [random_latents(1, seed) for seed in range(3)], count=5)
    assert (starts.openings, len(starts)) == (3, 3)


def test_many_episodes_are_warmed_up_in_part(memory: MDNRNN, random_latents: RandomLatents):
    episodes = [random_latents(3, seed) for seed in range(60)]
    starts = gather(memory, episodes, count=100)
    assert starts.openings == 60
    assert len(starts) - starts.openings == 2 * 40, "the later moments of 4 * sqrt(100) episodes"


def test_only_the_episodes_that_are_begun_at_are_read(memory: MDNRNN, random_latents: RandomLatents):
    """However many there are; and what is read one by one gives the starts that a list gives."""
    episodes, asked = [random_latents(3, seed) for seed in range(60)], Counter[int]()

    def read(index: int) -> LatentEpisode:
        asked[index] += 1
        return episodes[index]

    stored = StoredLatents([partial(read, index) for index in range(60)])
    starts, those = (gather_starts(memory, e, 9, np.random.default_rng(0)) for e in (stored, episodes))
    assert starts.mu.equal(those.mu)
    assert starts.h.equal(those.h)
    assert sum(asked.values()) == 9 + 12, "nine openings, and four times the root of nine for the rest"
    assert stored[-2:][1] is episodes[59]
