"""Following episodes window by window, with M's memory carried on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig, Recurrent
from worldmodels.memory.sequences import StreamBatches, pad
from worldmodels.memory.train import MemoryTraining, memory_loss, train_memory
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.runs.folder import RunFolder

CONFIG = MDNRNNConfig(4, 2, 8, 3, predicts_end=True, restart_flag=True)
TRAINING = MemoryTraining(steps=12, batch_size=3, sequence_length=5, carry=True, precision="f32")


def numbered(length: int, which: int) -> LatentEpisode:
    """An episode whose latents tell the tick and the episode."""
    mu = np.stack([np.arange(length + 1), np.full(length + 1, which), *np.zeros((2, length + 1))], axis=1)
    mu = mu.astype(np.float32)
    zeros = np.zeros((length, 2), np.float32)
    return LatentEpisode(mu, np.full_like(mu, -8), zeros, zeros[:, 0], terminated=True)


@given(st.lists(st.integers(1, 23), min_size=1, max_size=5), st.integers(0, 2**32))
def test_every_row_follows_its_episodes_from_beginning_to_end(lengths: list[int], seed: int):
    batches = StreamBatches([numbered(n, i) for i, n in enumerate(lengths)], 3, 5, seed)
    expected: list[tuple[int, int] | None] = [None] * 3  # which episode, which tick comes next
    for step in range(20):
        batch, goes_on = batches.batch(step), batches.goes_on(step)
        for row in range(3):
            ticks = int(batch.weight[row].sum())
            tick, which = (int(value) for value in batch.mu[row, 0, :2])
            if goes_on[row]:
                assert expected[row] == (which, tick)
            else:
                assert expected[row] is None
                assert tick == 0
            assert batch.mu[row, : ticks + 1, 0].tolist() == list(range(tick, tick + ticks + 1))
            over = tick + ticks == lengths[which]
            assert ticks == 5 or over
            assert batch.ended[row].sum() == over, "an end is where it was"
            expected[row] = None if over else (which, tick + ticks)


def test_a_batch_depends_on_its_step_alone():
    episodes = [numbered(n, i) for i, n in enumerate((3, 12, 7))]
    through = StreamBatches(episodes, 3, 5, seed=1)
    in_order = [(through.batch(step), through.goes_on(step)) for step in range(9)]
    for step in (8, 2, 5):
        batches = StreamBatches(episodes, 3, 5, seed=1)
        anew, goes_on = batches.batch(step), batches.goes_on(step)
        assert torch.equal(goes_on, in_order[step][1])
        assert all(torch.equal(a, b) for a, b in zip(anew, in_order[step][0], strict=True))


def test_episodes_are_drawn_evenly():
    batches = StreamBatches([numbered(5, i) for i in range(4)], 50, 5, seed=0)
    drawn = torch.cat([batches.batch(step).mu[:, 0, 1] for step in range(40)])
    shares = torch.bincount(drawn.long(), minlength=4) / len(drawn)
    assert_close(shares, torch.full((4,), 0.25), atol=0.04, rtol=0)


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(ValueError, match="no episodes to learn from"):
        StreamBatches([], 3, 5, seed=0)


def test_windows_with_the_memory_carried_on_are_the_whole_episode():
    torch.manual_seed(0)
    model = MDNRNN(CONFIG).requires_grad_(False)
    episode = numbered(13, 1)
    noise = torch.randn(1, 14, 4, generator=torch.Generator().manual_seed(0))
    whole, _ = memory_loss(model, pad([episode]), noise, TRAINING)
    memory: Recurrent | None = None
    total = 0.0
    for first in range(0, 13, 5):
        part = episode.part(first, 5)
        window = noise[:, first : first + part.length + 1]
        loss, memory = memory_loss(model, pad([part]), window, TRAINING, memory)
        total += float(loss["loss"]) * part.length / 13
    assert total == pytest.approx(float(whole["loss"]), rel=1e-5)


def learn(run: RunFolder, steps: int, save_every: float = 1e9) -> str:
    episodes = [numbered(n, i) for i, n in enumerate((3, 12, 7, 23))]
    return train_memory(
        run, CONFIG, replace(TRAINING, steps=steps), episodes, round=0, seed=0, device=torch.device("cpu"),
        made_from={}, save_every=save_every,
    )  # fmt: skip


def test_a_training_that_was_stopped_carries_on_the_same_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Stopped in the middle of episodes, by a failing disk at its seventh checkpoint, and run again."""
    from worldmodels.runs import optimise

    undisturbed = learn(RunFolder(tmp_path / "one"), steps=12)
    save, saved = optimise.save_checkpoint, []

    def failing(*args, **kwargs):
        saved.append(1)
        if len(saved) == 7:
            raise OSError("disk full")
        return save(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(optimise, "save_checkpoint", failing)
        with pytest.raises(OSError, match="disk full"):
            learn(RunFolder(tmp_path / "two"), steps=12, save_every=0)
    assert learn(RunFolder(tmp_path / "two"), steps=12) == undisturbed
