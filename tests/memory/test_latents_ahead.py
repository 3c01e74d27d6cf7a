"""Heads that foretell z some ticks ahead: what they are told and asked, what they cost, and what they shape."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from worldmodels.memory.foresight import Foreseen, Foresight
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.memory.sequences import Batch
from worldmodels.memory.train import MemoryTraining, memory_loss

CONFIG = MDNRNNConfig(4, 2, 16, 3, predicts_end=True, restart_flag=True)


def batch_of(lengths: list[int], ticks: int) -> Batch:
    generator = torch.Generator().manual_seed(5)
    weight = (torch.arange(ticks) < torch.tensor(lengths)[:, None]).float()
    mu = torch.randn(len(lengths), ticks + 1, 4, generator=generator)
    actions = 2 * torch.rand(len(lengths), ticks, 2, generator=generator) - 1
    left = torch.full((len(lengths), ticks), math.inf)
    return Batch(mu, torch.full_like(mu, -30.0), actions, torch.zeros_like(weight), left, weight)


def test_surprise_is_the_normal_distributions():
    generator = torch.Generator().manual_seed(0)
    z, mu, logvar = torch.randn(3, 2, 5, 4, generator=generator)
    normal = torch.distributions.Normal(mu, (0.5 * logvar).exp())
    expected = -(normal.log_prob(z) + 0.5 * math.log(2 * math.pi)).mean(dim=-1)
    assert_close(Foreseen(mu, logvar).surprise(z), expected)


@pytest.mark.parametrize("ahead", [2, 5])
def test_a_head_is_told_h_and_what_is_done_from_then_to_that_latent(ahead: int):
    torch.manual_seed(1)
    head = Foresight(ahead, 16, 2, 4).requires_grad_(False)
    hidden, actions = torch.randn(3, 9, 16), torch.randn(3, 9, 2)
    whole = head(hidden, actions)
    assert whole.mu.shape == (3, 9 - ahead + 1, 4)
    at, before = 2, head(hidden[:, 2:3].expand(-1, 9, -1), actions)
    for tick, matters in ((at, False), (at + 1, True), (at + ahead - 1, True), (at + ahead, False)):
        changed = actions.clone()
        changed[:, tick] += 1
        after = head(hidden, changed)
        assert torch.equal(whole.mu[:, at], after.mu[:, at]) != matters, tick
    assert torch.equal(whole.mu[:, at], before.mu[:, at])


def test_sequences_too_short_for_a_head_ask_nothing_of_it():
    model = MDNRNN(replace(CONFIG, latents_ahead=(3, 8))).requires_grad_(False)
    hidden, actions = torch.zeros(2, 5, 16), torch.zeros(2, 5, 2)
    assert [(ahead, len(foreseen.mu[0])) for ahead, foreseen in model.foresee(hidden, actions)] == [
        (3, 3),
        (8, 0),
    ]
    parts, _ = memory_loss(model, batch_of([5, 5], 5), torch.zeros(2, 6, 4), MemoryTraining())
    assert math.isfinite(parts["loss"])


def test_the_error_is_that_of_the_latents_that_were_there():
    """By hand, one by one; what is behind an episode's end counts for nothing."""
    torch.manual_seed(2)
    model = MDNRNN(replace(CONFIG, latents_ahead=(2, 4))).requires_grad_(False)
    lengths, batch = [7, 3], batch_of([7, 3], 7)
    noise = torch.zeros(2, 8, 4)
    parts, _ = memory_loss(model, batch, noise, MemoryTraining(latents_weight=3.0))
    without, _ = memory_loss(model, batch, noise, MemoryTraining(latents_weight=0.0))
    hidden = model.sequence(batch.mu[:, :-1], batch.actions)
    expected = torch.zeros(())
    for head, ahead in zip(model.foresight, (2, 4), strict=True):
        assert isinstance(head, Foresight)
        errors = []
        for row, length in enumerate(lengths):
            for tick in range(length - ahead + 1):
                told = batch.actions[row, tick + 1 : tick + ahead].flatten()
                mu, logvar = head.layers(torch.cat([hidden[row, tick], told])).chunk(2)
                away = batch.mu[row, tick + ahead] - mu
                errors.append((0.5 * (away.square() / logvar.exp() + logvar)).mean())
        expected = expected + torch.stack(errors).mean()
    assert_close(parts["foresight"], expected, rtol=1e-4, atol=1e-5)
    assert_close(parts["loss"], without["loss"] + 3 * expected, rtol=1e-4, atol=1e-5)
    assert_close(parts["nll"], without["nll"])


def test_they_shape_h_and_a_dream_does_not_know_of_them():
    torch.manual_seed(3)
    model = MDNRNN(replace(CONFIG, latents_ahead=(4,)))
    parts, _ = memory_loss(model, batch_of([12], 12), torch.zeros(1, 13, 4), MemoryTraining())
    (shaped,) = torch.autograd.grad(
        parts["loss"], model.lstm.get_parameter("weight_hh_l0"), retain_graph=True
    )
    parts["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.foresight.parameters())
    assert shaped.abs().max() > 0
    torch.manual_seed(3)
    plain = MDNRNN(CONFIG)
    for mine, theirs in zip(model.tick_weights()[:4], plain.tick_weights()[:4], strict=True):
        assert torch.equal(mine, theirs)


def test_an_m_that_remembers_foretells_what_it_has_seen_before():
    """A latent that says at first what comes six ticks later, and then nothing: only a memory can tell."""
    torch.manual_seed(4)
    config = MDNRNNConfig(1, 1, 16, 2, latents_ahead=(6,))
    model = MDNRNN(config)
    adam = torch.optim.Adam(model.parameters(), 1e-2)
    training = MemoryTraining()

    def foretold() -> float:
        with torch.no_grad():
            ((_, foreseen),) = model.foresee(model.sequence(mu[:, :-1], batch.actions), batch.actions)
            return float((foreseen.mu[:, 2] * mu[:, 8]).mean())

    before = None
    for _ in range(150):
        mu = torch.zeros(32, 9, 1)
        mu[:, 0] = mu[:, 8] = torch.randn(32, 1).sign()
        weight, left = torch.ones(32, 8), torch.full((32, 8), math.inf)
        batch = Batch(mu, torch.full_like(mu, -3.0), torch.zeros(32, 8, 1), torch.zeros(32, 8), left, weight)
        before = foretold() if before is None else before
        parts, _ = memory_loss(model, batch, torch.randn(32, 9, 1), training)
        adam.zero_grad()
        parts["loss"].backward()
        adam.step()
    assert before is not None
    assert abs(before) < 0.5
    assert foretold() > 0.9


def test_an_m_goes_on_from_one_that_has_other_heads_or_none():
    plain, three, other = (MDNRNN(replace(CONFIG, latents_ahead=ahead)) for ahead in ((), (3,), (3, 5)))
    begun = {name: weight.clone() for name, weight in other.state_dict().items()}
    for start in (plain, three):
        other.begin_at(start)
        for name, weight in other.state_dict().items():
            expected = begun[name] if name.startswith("foresight.") else start.state_dict()[name]
            assert torch.equal(weight, expected), name
    plain.begin_at(other)
    assert torch.equal(plain.head.weight, other.head.weight)
    same = MDNRNN(other.config)
    same.begin_at(other)
    assert all(torch.equal(a, b) for a, b in zip(same.parameters(), other.parameters(), strict=True))


def test_one_tick_ahead_is_refused():
    with pytest.raises(ValueError, match=r"mdn_rnn\.latents_ahead must be 2 or more, got \(1, 4\)"):
        replace(CONFIG, latents_ahead=(1, 4))
