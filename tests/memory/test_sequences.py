"""Batches of one shape: what is drawn, and the same batches put together from latents that lie on a device."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from worldmodels.memory import train as memory_train
from worldmodels.memory.mdn_rnn import MDNRNNConfig
from worldmodels.memory.resident import ResidentLatents, size_of
from worldmodels.memory.sequences import SequenceBatches, StreamBatches, pad
from worldmodels.memory.train import MemoryTraining, load_memory, train_memory
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.runs.feeding import fed
from worldmodels.runs.folder import RunFolder

RandomLatents = Callable[..., LatentEpisode]
BATCHES = [SequenceBatches, StreamBatches]
CPU = torch.device("cpu")
CONFIG = MDNRNNConfig(4, 2, 8, 3, predicts_reward=True, predicts_end=True, restart_flag=True)
TRAINING = MemoryTraining(steps=30, batch_size=4, sequence_length=6, precision="f32")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def episodes(random_latents: RandomLatents) -> list[LatentEpisode]:
    return [random_latents(n, seed=n, terminated=n % 2 == 0) for n in (1, 3, 6, 7, 14)]


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize(("longest", "ticks"), [(6, 6), (14, 14), (999, 14)])
def test_all_batches_have_one_shape(kind, longest: int, ticks: int, episodes: list[LatentEpisode]):
    batches = kind(episodes, 4, longest, seed=0)
    assert batches.ticks == ticks
    for step in range(12):
        shapes = [tuple(part.shape) for part in batches.batch(step)]
        assert shapes == [(4, ticks + 1, 4)] * 2 + [(4, ticks, 2)] + [(4, ticks)] * 3


def test_what_is_longer_than_asked_for_is_empty(random_latents: RandomLatents):
    short = random_latents(3)
    batch, exact = pad([short], 5), pad([short])
    for name in batch._fields:
        longer, part = getattr(batch, name), getattr(exact, name)
        assert torch.equal(longer[:, : part.shape[1]], part)
        assert (longer[:, part.shape[1] :] == (math.inf if name == "left" else 0)).all()
    assert not batch.ended[:, 3:].any()


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("longest", [2, 6, 999])
def test_batches_put_together_on_a_device_are_the_same(kind, longest: int, episodes: list[LatentEpisode]):
    batches, resident = kind(episodes, 5, longest, seed=3), ResidentLatents(episodes, CPU)
    ends = 0
    for step in range(20):
        found = resident.cut_out(batches.cuts(step), batches.ticks)
        expected = batches.batch(step)
        ends += int(expected.ended.sum())
        for name in expected._fields:
            a, b = getattr(found, name), getattr(expected, name)
            assert a.dtype == b.dtype
            assert torch.equal(a, b), (name, step)
    assert ends > 0


def test_their_size_is_known_before(episodes: list[LatentEpisode]):
    parts = [part for part in vars(ResidentLatents(episodes, CPU)).values() if isinstance(part, torch.Tensor)]
    assert sum(part.nbytes for part in parts) == size_of(episodes)


def learn(
    run: RunFolder, episodes: list[LatentEpisode], training: MemoryTraining, device: str = "cpu"
) -> str:
    return train_memory(
        run, CONFIG, training, episodes, round=0, seed=0, device=torch.device(device), made_from={}
    )


@pytest.mark.parametrize("carry", [False, True])
def test_batches_made_ahead_or_put_together_on_the_device_teach_the_same(
    carry: bool, episodes: list[LatentEpisode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    training = replace(TRAINING, carry=carry)
    expected = learn(RunFolder(tmp_path / "plain"), episodes, training)
    with monkeypatch.context() as patch:
        patch.setattr(memory_train, "fed", lambda *args, ahead: fed(*args, ahead=True))
        assert learn(RunFolder(tmp_path / "ahead"), episodes, training) == expected
    monkeypatch.setattr(memory_train, "fits_on_gpu", lambda size, device: True)
    assert learn(RunFolder(tmp_path / "resident"), episodes, training) == expected


@needs_gpu
@pytest.mark.parametrize("precision", ["f32", "auto"])
@pytest.mark.parametrize("carry", [False, True])
def test_on_a_gpu_recorded_steps_teach_what_plain_ones_teach(
    carry: bool, precision: str, episodes, tmp_path, monkeypatch, capsys
):
    from worldmodels.runs import step

    training = replace(TRAINING, carry=carry, precision=precision)
    folders = {name: RunFolder(tmp_path / name) for name in ("recorded", "again", "ahead", "plain")}
    learn(folders["recorded"], episodes, training, "cuda")
    assert "without CUDA graphs" not in capsys.readouterr().err
    learn(folders["again"], episodes, training, "cuda")
    with monkeypatch.context() as patch:
        patch.setattr(memory_train, "fits_on_gpu", lambda size, device: False)
        learn(folders["ahead"], episodes, training, "cuda")
    monkeypatch.setattr(step, "recorded", lambda function, work, kept: function)
    learn(folders["plain"], episodes, training, "cuda")
    expected = load_memory(folders["plain"], 0)[0].state_dict()
    for name in ("recorded", "again", "ahead"):
        found = load_memory(folders[name], 0)[0].state_dict()
        for key, value in expected.items():
            assert_close(found[key], value, rtol=1e-2, atol=2e-3, msg=f"{name} {key}")


def test_a_batch_depends_on_its_step_alone(random_latents: RandomLatents):
    episodes = [random_latents(3 + seed, seed) for seed in range(5)]
    through, anew = (SequenceBatches(episodes, 3, 999, seed=1) for _ in range(2))
    batches = [through.batch(step) for step in range(9)]
    for step in (8, 3, 0):
        assert all(torch.equal(a, b) for a, b in zip(anew.batch(step), batches[step], strict=True))
    other = SequenceBatches(episodes, 3, 999, seed=2)
    assert any(not torch.equal(other.batch(0).mu[:, 0], b.mu[:, 0]) for b in batches)


def moment_of(mu: Tensor, episodes: Sequence[LatentEpisode]) -> tuple[int, int]:
    """Which episode, and which of its frames, a latent (Z,) is."""
    (found,) = [
        (e, t)
        for e, episode in enumerate(episodes)
        for t in range(len(episode.mu))
        if np.array_equal(episode.mu[t], mu)
    ]
    return found


def test_an_episode_is_drawn_in_proportion_to_its_length(random_latents: RandomLatents):
    episodes = [random_latents(length, seed=length) for length in (2, 6, 12)]
    drawn = SequenceBatches(episodes, 3000, 999, seed=0).batch(0)
    counts = Counter(moment_of(mu, episodes) for mu in drawn.mu[:, 0])
    assert counts.keys() == {(0, 0), (1, 0), (2, 0)}, "taken whole, from its first frame on"
    for (episode, _), count in counts.items():
        assert count / 3000 == pytest.approx(episodes[episode].length / 20, abs=0.04)


def test_a_long_episode_is_cut_anywhere_and_both_of_its_ends_are_seen_often(random_latents: RandomLatents):
    episodes, longest = [random_latents(20)], 6
    drawn = SequenceBatches(episodes, 3000, longest, seed=0).batch(0)
    assert drawn.mu.shape == (3000, longest + 1, 4)
    assert bool((drawn.weight == 1).all())
    firsts = [moment_of(mu, episodes)[1] for mu in drawn.mu[:, 0]]
    for row, first in enumerate(firsts[:50]):
        assert np.array_equal(drawn.mu[row], episodes[0].mu[first : first + longest + 1])
        assert np.array_equal(drawn.actions[row], episodes[0].actions[first : first + longest])
        assert drawn.ended[row].tolist() == [0] * 5 + [float(first == 14)], "an end is where it was"
        assert drawn.left[row].tolist() == list(range(19 - first, 13 - first, -1)), (
            "one that is still to come, too"
        )
    counts = Counter(firsts)
    assert counts.keys() == set(range(15))
    for first, count in counts.items():
        expected = (1 + longest // 2 if first in (0, 14) else 1) / (15 + 2 * (longest // 2))
        assert count / 3000 == pytest.approx(expected, abs=0.03)


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(ValueError, match="no episodes to learn from"):
        SequenceBatches([], 3, 999, seed=0)
