"""A small experiment, and peaks that take no time to measure."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from worldmodels.bench import conditions as measuring
from worldmodels.bench.conditions import Conditions
from worldmodels.bench.measurement import Budget
from worldmodels.bench.peaks import Peaks
from worldmodels.controller.linear import ControllerConfig
from worldmodels.experiments import Experiment
from worldmodels.memory.mdn_rnn import MDNRNNConfig
from worldmodels.presets import preset
from worldmodels.vision.vae import VAEConfig

PEAKS = Peaks(f32_gflops=200.0, bf16_gflops=100.0, copy_gb_s=10.0)


@pytest.fixture
def small() -> Experiment:
    """CarRacing's, with 4 latents, 8 units, batches of 3 and sequences of 80."""
    paper = preset("car-racing", "paper")
    return replace(
        paper,
        vae=VAEConfig(latent_size=4),
        vision=replace(paper.vision, batch_size=3),
        mdn_rnn=MDNRNNConfig(4, 3, 8, 2, predicts_reward=True, predicts_end=True),
        memory=replace(paper.memory, batch_size=3, sequence_length=80),
        controller=ControllerConfig(feature_size=12),
    )


@pytest.fixture(autouse=True)
def known_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside each part the peaks are still what they were."""
    monkeypatch.setattr(
        measuring, "product_gflops", lambda precision, device, budget: PEAKS.gflops(precision)
    )
    monkeypatch.setattr(measuring, "copy_gb_s", lambda device, budget: PEAKS.copy_gb_s)


@pytest.fixture
def conditions(small: Experiment) -> Conditions:
    """Two calls of everything."""
    return Conditions(small, torch.device("cpu"), Budget(seconds=0.01, least=2, warm_up=1), PEAKS)


@pytest.fixture
def take_cover(conditions: Conditions) -> Conditions:
    """The same with Take Cover's kind of M and C: a restart flag, no reward, memory carried on, C on zch."""
    paper = preset("take-cover", "paper")
    small = replace(
        conditions.experiment,
        game="take-cover",
        mdn_rnn=MDNRNNConfig(4, 1, 8, 2, predicts_end=True, restart_flag=True),
        memory=replace(paper.memory, batch_size=3, sequence_length=20),
        dream=paper.dream,
        controller=replace(paper.controller, feature_size=20),
    )
    return replace(conditions, experiment=small)
