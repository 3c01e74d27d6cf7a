"""Training M: the loss against its closed form, and that M learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn import functional as F
from torch.testing import assert_close

from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.memory.sequences import pad
from worldmodels.memory.train import (
    MemoryTraining,
    learns_in_bf16,
    load_memory,
    memory_loss,
    train_memory,
)
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.metrics import read_metrics

RandomLatents = Callable[..., LatentEpisode]
CPU = torch.device("cpu")
CONFIG = MDNRNNConfig(4, 2, 8, 3, predicts_reward=True, predicts_end=True, reward_scale=2.0)


def training(steps: int = 1, batch_size: int = 3, longest: int = 999, **changes: float) -> MemoryTraining:
    settings = MemoryTraining(steps=steps, batch_size=batch_size, sequence_length=longest, precision="f32")
    return replace(settings, **changes)


def random_model(seed: int = 0) -> MDNRNN:
    torch.manual_seed(seed)
    return MDNRNN(CONFIG).requires_grad_(False)


def constant_model(mu: float, log_sigma: float, reward: float, end_logit: float) -> MDNRNN:
    """An M that always expects the same, whatever it has seen; `reward` in units of the reward scale."""
    model = random_model()
    model.head.weight.zero_()
    mixture = torch.tensor([0.0, mu, log_sigma]).repeat_interleave(4 * 3)
    model.head.bias.copy_(torch.cat([mixture, torch.tensor([reward, end_logit])]))
    return model


def noise_for(episodes: Sequence[LatentEpisode]) -> Tensor:
    shape = pad(episodes).mu.shape
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_episodes_of_unequal_length_lie_side_by_side(random_latents: RandomLatents):
    short, long = random_latents(2, seed=1), random_latents(5, seed=2)
    batch = pad([short, long])
    assert [tuple(part.shape) for part in batch] == [(2, 6, 4), (2, 6, 4), (2, 5, 2), (2, 5), (2, 5), (2, 5)]
    assert all(part.dtype == torch.float32 for part in batch)
    for row, episode in enumerate((short, long)):
        length = episode.length
        assert np.array_equal(batch.mu[row, : length + 1], episode.mu)
        assert np.array_equal(batch.logvar[row, : length + 1], episode.logvar)
        assert np.array_equal(batch.actions[row, :length], episode.actions)
        assert np.array_equal(batch.rewards[row, :length], episode.rewards)
    assert batch.weight.tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize(("terminated", "ended"), [(True, [0, 0, 1, 0]), (False, [0, 0, 0, 0])])
def test_only_an_actual_end_is_an_end(random_latents: RandomLatents, terminated: bool, ended: list[float]):
    """An episode that the step limit cut off would have gone on."""
    episodes = [random_latents(3, terminated=terminated), random_latents(4, terminated=False)]
    batch = pad(episodes)
    assert batch.ended.tolist() == [ended, [0, 0, 0, 0]]
    assert batch.left.tolist() == [[2, 1, 0, inf] if terminated else [inf] * 4, [inf] * 4]


def test_the_nll_is_its_closed_form(random_latents: RandomLatents):
    episode = random_latents(6)
    noise = noise_for([episode])
    parts, _ = memory_loss(constant_model(0.3, -0.4, 0, 0), pad([episode]), noise, training())
    z = torch.from_numpy(episode.mu) + torch.exp(0.5 * torch.from_numpy(episode.logvar)) * noise[0]
    expected = -Normal(0.3, float(np.exp(-0.4))).log_prob(z[1:]).mean()  # nats per dimension and tick
    assert_close(parts["nll"], expected, rtol=1e-5, atol=1e-6)


def test_the_latents_are_drawn_from_vs_posterior(random_latents: RandomLatents):
    episode, model = random_latents(6), random_model()
    certain = LatentEpisode(
        episode.mu, np.full_like(episode.logvar, -60), episode.actions, episode.rewards, True
    )

    def nll(shown: LatentEpisode, scale: float) -> Tensor:
        return memory_loss(model, pad([shown]), scale * noise_for([shown]), training())[0]["nll"]

    assert_close(nll(certain, 0), nll(certain, 1))
    assert abs(float(nll(episode, 0) - nll(episode, 1))) > 0.01


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_less_of_the_posterior_is_less_of_its_noise(random_latents: RandomLatents, share: float):
    episode, model = random_latents(6, seed=5), random_model()
    noise = noise_for([episode])
    less, _ = memory_loss(model, pad([episode]), noise, training(posterior=share))
    same, _ = memory_loss(model, pad([episode]), share * noise, training())
    assert float(less["loss"]) == pytest.approx(float(same["loss"]), rel=1e-6)
    with pytest.raises(ValueError, match=r"memory\.posterior must lie in \[0, 1\], got 1.5"):
        training(posterior=1.5)
    with pytest.raises(ValueError, match=r"memory\.dropout must lie in \[0, 1\), got 1.0"):
        training(dropout=1.0)


def test_with_dropout_the_heads_see_what_the_noise_keeps_and_memory_all(random_latents: RandomLatents):
    episode, share = random_latents(4000, seed=1), 0.25
    model, batch = random_model(), pad([episode])
    noise = torch.randn(1, 4001, 4 + 8, generator=torch.Generator().manual_seed(0))
    heads: list[Tensor] = []
    model.head.register_forward_pre_hook(lambda _, seen: heads.append(seen[0]))
    (_, whole), (_, dropped) = (
        memory_loss(model, batch, noise, training(dropout=dropout)) for dropout in (0.0, share)
    )
    assert torch.equal(whole.h, dropped.h), "M remembers with all of its units"
    plain, seen = heads
    left_out = seen == 0
    assert float(left_out.float().mean()) == pytest.approx(share, abs=0.01)
    assert_close(seen[~left_out], (plain / (1 - share))[~left_out])


def test_the_reward_error_is_its_closed_form(random_latents: RandomLatents):
    episode = random_latents(6)
    episode.rewards[2] = -100.0
    parts, _ = memory_loss(constant_model(0, 0, 0.7, 0), pad([episode]), noise_for([episode]), training())
    target = np.clip(episode.rewards, -10, 10) / CONFIG.reward_scale
    assert float(parts["reward"]) == pytest.approx(float(np.square(0.7 - target).mean()), rel=1e-5)


def test_the_end_error_is_its_closed_form(random_latents: RandomLatents):
    episode = random_latents(6)
    parts, _ = memory_loss(constant_model(0, 0, 0, 0.5), pad([episode]), noise_for([episode]), training())
    logit = torch.tensor(0.5)
    going_on, ending = F.softplus(logit), F.softplus(-logit)
    assert_close(parts["end"], (5 * going_on + 10 * ending) / 6)  # one of six ticks ends, and counts tenfold


def test_the_loss_is_the_weighted_sum_of_its_parts(random_latents: RandomLatents):
    episodes = [random_latents(6), random_latents(4)]
    weights = training(reward_weight=0.25, end_weight=3.0)
    parts, _ = memory_loss(random_model(), pad(episodes), noise_for(episodes), weights)
    assert_close(parts["loss"], parts["nll"] + 0.25 * parts["reward"] + 3 * parts["end"])


def test_without_the_extra_heads_the_loss_is_the_nll(random_latents: RandomLatents):
    episodes = [random_latents(6)]
    parts, _ = memory_loss(MDNRNN(MDNRNNConfig(4, 2, 8, 3)), pad(episodes), noise_for(episodes), training())
    assert parts.keys() == {"loss", "nll"}
    assert_close(parts["loss"].detach(), parts["nll"])


def test_padding_does_not_change_the_loss(random_latents: RandomLatents):
    short, long = random_latents(3, seed=1), random_latents(11, seed=2, terminated=False)
    noise, model = noise_for([short, long]), random_model()
    together, _ = memory_loss(model, pad([short, long]), noise, training())
    alone = [
        memory_loss(model, pad([episode]), noise[row : row + 1, : episode.length + 1], training())[0]
        for row, episode in enumerate((short, long))
    ]
    for name, value in together.items():
        assert_close(value, (3 * alone[0][name] + 11 * alone[1][name]) / 14, rtol=1e-5, atol=1e-6)


def test_a_batch_of_one_is_a_batch_of_seven(random_latents: RandomLatents):
    episode, model = random_latents(5), random_model()
    noise = noise_for([episode])
    one, _ = memory_loss(model, pad([episode]), noise, training())
    seven, _ = memory_loss(model, pad([episode] * 7), noise.expand(7, -1, -1), training())
    for name, value in one.items():
        assert_close(value, seven[name], rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not learns_in_bf16(CPU), reason="this processor cannot train an LSTM in bf16")
def test_mixed_precision_gives_nearly_the_same_loss(random_latents: RandomLatents):
    episodes, model = [random_latents(8, seed=seed) for seed in range(4)], random_model()
    batch, noise = pad(episodes), noise_for(episodes)
    exact, _ = memory_loss(model, batch, noise, training())
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = memory_loss(model, batch, noise, training())
    for name, value in exact.items():
        assert_close(mixed[name].float(), value, rtol=0.02, atol=0)


def test_mixed_precision_is_refused_where_the_processor_cannot(
    random_latents: RandomLatents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def unable(*_: object) -> None:
        raise RuntimeError("could not create a primitive descriptor for the LSTM")

    monkeypatch.setattr(torch.nn.LSTM, "forward", unable)
    assert not learns_in_bf16(CPU)
    with pytest.raises(UserError, match=r"give --memory\.precision f32"):
        train_memory(
            RunFolder(tmp_path),
            CONFIG,
            replace(training(), precision="bf16"),
            [random_latents(8)],
            round=0,
            seed=0,
            device=CPU,
            made_from={},
        )


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def learn(
    run: RunFolder,
    episodes: Sequence[LatentEpisode],
    settings: MemoryTraining,
    *,
    round: int = 0,
    seed: int = 0,
    made_from: Mapping[str, str] | None = None,
    start: MDNRNN | None = None,
) -> str:
    return train_memory(
        run,
        CONFIG,
        settings,
        episodes,
        round=round,
        seed=seed,
        device=torch.device("cpu"),
        made_from=made_from or {"vision": "abc"},
        start=start,
    )


def circling_episode(length: int, seed: int) -> LatentEpisode:
    """Two latents go round in a circle at the speed of the action; the reward is twice the third latent."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(0.2, 0.6, (length, 2)).astype(np.float32)
    angle = rng.uniform(0, 6) + np.concatenate([[0], actions[:, 0].cumsum()])
    mu = np.stack([np.cos(angle), np.sin(angle), np.sin(angle / 2), 0 * angle], axis=1).astype(np.float32)
    return LatentEpisode(mu, np.full_like(mu, -8), actions, 2 * mu[1:, 2], terminated=True)


def test_m_learns(run: RunFolder):
    episodes = [circling_episode(20, seed) for seed in range(16)]
    learn(run, episodes, training(steps=161, batch_size=16, learning_rate=2e-2, final_learning_rate=1e-3))
    log = read_metrics(run, "memory-00")
    assert log[-1]["nll"] < log[0]["nll"] - 1.5
    assert log[-1]["reward"] < 0.3 * log[0]["reward"]
    model, _ = load_memory(run, 0)
    assert not model.lstm.get_parameter("bias_hh_l0").any(), "one bias, as in the paper"
    assert not model.training


def test_the_same_seed_is_the_same_m(run: RunFolder, tmp_path: Path, random_latents: RandomLatents):
    episodes = [random_latents(5, seed) for seed in range(4)]
    first = learn(run, episodes, training(steps=3))
    torch.rand(7)  # what was drawn before makes no difference
    assert learn(RunFolder(tmp_path / "again"), episodes, training(steps=3)) == first
    assert learn(run, episodes, training(steps=3), seed=1) != first
    assert learn(run, episodes, training(steps=3), round=1) != first


def test_the_m_of_the_round_before_is_where_training_goes_on(run: RunFolder, random_latents: RandomLatents):
    before = random_model(seed=5)
    learn(run, [random_latents(5)], training(), round=1, start=before)
    after, _ = load_memory(run, 1)
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        assert float((old - new).detach().abs().max()) < 0.002, "one step of Adam moves a weight by 0.001"


def test_an_m_of_another_v_is_refused(run: RunFolder, random_latents: RandomLatents):
    sha256 = learn(run, [random_latents(5)], training(), made_from={"vision": "abc"})
    model, loaded = load_memory(run, 0, vision="abc")
    assert (loaded, model.config) == (sha256, CONFIG)
    with pytest.raises(
        UserError,
        match="made from another vision than the one in use; delete it and run `worldmodels memory",
    ):
        load_memory(run, 0, vision="def")
