"""M's heads that foretell ends: what they learn, and that no dream asks them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig, Recurrent, look_ahead
from worldmodels.memory.sequences import pad
from worldmodels.memory.train import MemoryTraining, load_memory, memory_loss
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.runs.checkpoint import save_checkpoint
from worldmodels.runs.folder import RunFolder

RandomLatents = Callable[..., LatentEpisode]
CONFIG = MDNRNNConfig(4, 2, 8, 3, predicts_reward=True, predicts_end=True)


@pytest.mark.parametrize(("terminated", "within"), [(True, [2, 5]), (False, [0, 0])])
def test_the_error_of_ends_ahead_is_its_closed_form(
    random_latents: RandomLatents, terminated: bool, within: list[int]
):
    """Of 7 ticks the last 2 have an end within 2 ticks, the last 5 within 5; heads that always say 0.5 and 0.1."""
    torch.manual_seed(0)
    model = MDNRNN(replace(CONFIG, ends_ahead=(2, 5))).requires_grad_(False)
    model.head.weight[-2:], model.head.bias[-2:] = 0, torch.tensor([0.5, 0.1]).logit()
    batch = pad([random_latents(7, terminated=terminated), random_latents(9, terminated=False)])
    noise = torch.zeros_like(batch.mu)
    parts, _ = memory_loss(model, batch, noise, MemoryTraining(ahead_weight=3.0))
    said = [-(n * np.log(p) + (16 - n) * np.log(1 - p)) / 16 for n, p in zip(within, (0.5, 0.1), strict=True)]
    assert float(parts["ahead"]) == pytest.approx(sum(said), rel=1e-5)
    without, _ = memory_loss(model, batch, noise, MemoryTraining(ahead_weight=0.0))
    assert float(parts["loss"] - without["loss"]) == pytest.approx(3 * sum(said), rel=1e-4)


def test_ends_ahead_shape_h_and_a_dream_does_not_ask_for_them():
    torch.manual_seed(0)
    model = MDNRNN(replace(CONFIG, ends_ahead=(4, 16)))
    hidden = torch.randn(3, 8)
    prediction = model.predict(hidden)
    assert prediction.ahead_logits is not None
    assert prediction.ahead_logits.shape == (3, 2)
    weights = model.tick_weights()
    assert weights.head.shape == (8, CONFIG.output_size)
    dreamt = look_ahead(model.config, weights, Recurrent(hidden, hidden))
    assert dreamt.ahead_logits is None
    assert prediction.end_logit is not None
    assert dreamt.end_logit is not None
    assert_close(dreamt.end_logit, prediction.end_logit)
    with pytest.raises(ValueError, match=r"mdn_rnn\.ends_ahead must be 2 or more, got \(1, 4\)"):
        replace(CONFIG, ends_ahead=(1, 4))


def test_such_an_m_is_loaded_as_it_was_saved(tmp_path: Path):
    run, model = RunFolder(tmp_path), MDNRNN(replace(CONFIG, ends_ahead=(4, 16)))
    settings, made_from = asdict(model.config), {"vision": "abc"}
    save_checkpoint(
        run.memory(0),
        kind="memory",
        config=settings,
        weights=model.state_dict(),
        progress={},
        made_from=made_from,
    )
    assert load_memory(run, 0, "abc")[0].config == model.config
