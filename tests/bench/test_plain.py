"""The production code against the plain one, number by number, in double precision and with the same noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from worldmodels.bench.plain import PlainMemory, PlainVision, pixels_to_stored, stored_to_pixels
from worldmodels.bench.plain_dream import PlainDreams, act, draw, dream_tick, play, seen_by_controller
from worldmodels.bench.plain_search import PlainCMAES
from worldmodels.controller.linear import ControllerConfig
from worldmodels.controller.linear import act as act_at_once
from worldmodels.evolution.fitness import returns
from worldmodels.evolution.strategy import CMAES
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig, Recurrent, tick
from worldmodels.memory.sequences import Batch, pad
from worldmodels.memory.train import MemoryTraining, memory_loss
from worldmodels.runs.seeds import numpy_stream
from worldmodels.vision.vae import VAE, VAEConfig, frames, pixels
from worldmodels.worlds import noise
from worldmodels.worlds.dream import DreamWorld, fall_asleep
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.starts import Starts
from worldmodels.worlds.state import FEATURES, features

CAR = MDNRNNConfig(4, 3, 16, 5, predicts_reward=True, predicts_end=True, reward_scale=4.0)
TAKE_COVER = MDNRNNConfig(6, 1, 16, 5, predicts_end=True, restart_flag=True)
BARE = MDNRNNConfig(4, 3, 16, 5)
EMBEDDED = replace(TAKE_COVER, embedding=(12, 8))


def same(found: Tensor, expected: Tensor, digits: int = 9) -> None:
    torch.testing.assert_close(
        found.contiguous(), expected.contiguous(), rtol=10.0**-digits, atol=10.0**-digits
    )


def one_step(model: nn.Module, loss: Tensor, fused: bool) -> dict[str, tuple[Tensor, Tensor]]:
    """Gradients, and weights after a step of Adam, fused or one weight after the other, by name."""
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    adam = torch.optim.Adam(trained.values(), lr=1e-3, fused=fused, foreach=False)
    loss.backward()
    gradients = {name: weight.grad for name, weight in trained.items()}
    adam.step()
    return {
        name: (gradient, trained[name].detach())
        for name, gradient in gradients.items()
        if gradient is not None
    }


@pytest.fixture(scope="module")
def vision() -> VAE:
    torch.manual_seed(1)
    return VAE(VAEConfig(latent_size=8)).double()


def test_v_sees_and_paints_the_same(vision: VAE):
    plain = PlainVision.like(vision)
    stored = torch.randint(256, (3, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        shown = stored_to_pixels(stored)
        assert torch.equal(shown, pixels(stored))
        assert torch.equal(pixels_to_stored(shown), stored)
        assert torch.equal(frames(shown), stored)
        for found, expected in zip(vision.encode(shown.double()), plain.encode(shown.double()), strict=True):
            same(found, expected)
        z = torch.randn(3, 8, dtype=torch.float64)
        same(vision.decode(z), plain.decode(z))


@pytest.mark.parametrize("free_nats", [0.0, 50.0], ids=["above the free bits", "below"])
def test_v_learns_the_same(free_nats):
    torch.manual_seed(2)
    model = VAE(VAEConfig(8, free_nats)).double()
    plain = PlainVision.like(model)
    shown, noises = torch.rand(3, 3, 64, 64).double(), torch.randn(3, 8).double()
    loss, expected = model.loss(shown, noises).total, plain.loss(shown, noises)
    same(loss, expected)
    learnt, reference = one_step(model, loss, fused=True), one_step(plain, expected, fused=False)
    assert learnt.keys() == reference.keys()
    for name in learnt:
        for found, right in zip(learnt[name], reference[name], strict=True):
            same(found, right, 7)


@pytest.mark.parametrize(
    "config", [CAR, TAKE_COVER, BARE, EMBEDDED], ids=["car", "take-cover", "bare", "embedded"]
)
def test_m_learns_the_same(config: MDNRNNConfig, random_latents):
    torch.manual_seed(3)
    model = MDNRNN(config).double()
    plain = PlainMemory.like(model)
    batch = pad([random_latents(length, length) for length in (3, 7, 5)])
    batch = Batch(*(part.double() for part in batch))
    mu, logvar = (nn.functional.pad(part, (0, 2))[..., : config.latent_size] for part in batch[:2])
    actions = nn.functional.pad(batch.actions, (0, 1))[..., : config.action_size]
    batch = batch._replace(mu=mu, logvar=logvar, actions=actions)
    noises = torch.randn_like(batch.mu)
    training = MemoryTraining(reward_clip=1.0, reward_weight=0.7, end_weight=1.3)
    parts, _ = memory_loss(model, batch, noises, training)
    expected = plain.loss(batch, noises, training)
    same(parts["loss"], expected)
    learnt, reference = one_step(model, parts["loss"], fused=True), one_step(plain, expected, fused=False)
    names = {"cell.weight_ih": "lstm.weight_ih_l0", "cell.weight_hh": "lstm.weight_hh_l0"}
    names |= {"cell.bias_ih": "lstm.bias_ih_l0", "head.weight": "head.weight", "head.bias": "head.bias"}
    names |= {name: name for name in reference if name.startswith("embedding.")}
    assert names.keys() == reference.keys()
    assert len(reference) == 5 + 2 * len(config.embedding)
    for name, gradient_and_weight in reference.items():
        for found, right in zip(learnt[names[name]], gradient_and_weight, strict=True):
            same(found, right, 7)


@pytest.mark.parametrize("config", [CAR, TAKE_COVER, EMBEDDED], ids=["car", "take-cover", "embedded"])
def test_the_dream_goes_on_the_same(config: MDNRNNConfig):
    """In double precision, where the slices that one number is cut into have digits enough."""
    torch.manual_seed(4)
    model = MDNRNN(config).double().requires_grad_(False)
    model.head.weight *= 6  # components that differ
    plain, weights = PlainMemory.like(model), model.tick_weights()
    z, actions = torch.randn(500, config.latent_size).double(), torch.randn(500, config.action_size).double()
    h, c = torch.randn(2, 500, config.hidden_size).double().tanh()
    h[:100], c[:100] = 0, 0  # where episodes begin
    uniform = torch.rand(500, config.latent_size).double()
    ended = torch.arange(500) % 3 == 0
    found = tick(config, weights, z, actions, Recurrent(h, c), uniform, 1.15)
    after, reward = dream_tick(plain, PlainDreams(z, h, c, ended), actions, uniform, 1.15)
    same(found.memory.h, after.h)
    same(found.memory.c, after.c)
    same(found.z, after.z, 5)  # the two normal quantiles agree within 1e-7 of it
    assert found.end_logit is not None
    assert torch.equal(ended | (found.end_logit > 0), after.ended)
    assert 0 < (after.ended & ~ended).sum() < (~ended).sum()
    same(torch.where(ended, 0.0, found.reward), reward)


def test_draws_have_the_chances_of_the_mixture():
    """One dimension, a uniform number at each of 100,000 levels: components and moments as they should be."""
    config = MDNRNNConfig(1, 1, 4, 3, predicts_end=True)
    plain = PlainMemory(config)
    chances = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    with torch.no_grad():
        plain.head.weight.zero_()
        plain.head.bias.copy_(
            torch.cat([chances.log(), torch.tensor([-9.0, 0.0, 9.0, -1.0, 0.0, -2.0, 0.0])])
        )
        out = plain.double().outputs(torch.zeros(100_000, 4).double())
        levels = (torch.arange(100_000).double() + 0.5) / 100_000
        z = draw(out, levels.unsqueeze(1), 1.0).squeeze(1)
    for chance, mu, sigma in zip(chances, (-9.0, 0.0, 9.0), (np.exp(-1), 1.0, np.exp(-2)), strict=True):
        near = z[(z - mu).abs() < 4.5]
        assert len(near) / 1e5 == pytest.approx(float(chance), abs=1e-3)
        assert float(near.mean()) == pytest.approx(mu, abs=1e-2)
        assert float(near.std()) == pytest.approx(sigma, rel=1e-2)


@pytest.mark.parametrize("bias", [True, False])
def test_controllers_act_the_same(bias: bool):
    config = ControllerConfig("zh", 5, ("symmetric", "unit", "positive"), bias)
    parameters, seen = torch.randn(4, config.parameter_count), torch.randn(4, 6, 5)
    found = act_at_once(config, parameters, seen).flatten(0, 1)
    same(act(config, parameters, seen.flatten(0, 1)), found, 5)


def test_a_hidden_layer_is_not_left_out_in_silence():
    config = ControllerConfig("zh", 5, ("symmetric",), hidden=3)
    with pytest.raises(ValueError, match="the plain C has no hidden layer, and this one has 3 units in it"):
        act(config, torch.zeros(1, config.parameter_count), torch.zeros(2, 5))


@pytest.mark.parametrize("kind", FEATURES)
def test_controllers_see_the_same(kind: str):
    z, h, c = torch.randn(2, 3), torch.randn(2, 4), torch.randn(2, 4)
    never = torch.zeros(2, dtype=torch.bool)
    assert torch.equal(
        seen_by_controller(kind, PlainDreams(z, h, c, never)), features(kind, z, Recurrent(h, c))
    )


@pytest.fixture
def doubles() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("doubles")
def test_a_generation_earns_the_same():
    """All dreams to the last tick here, ended ones left behind there."""
    torch.manual_seed(5)
    config = replace(CAR, latent_size=3)
    model = MDNRNN(config).requires_grad_(False)
    model.head.weight[-1] *= 20
    model.head.bias[-1] = -3  # many dreams end, at different times
    z, memory = torch.randn(2, 20, 3), torch.randn(2, 20, 16)
    starts = Starts(z[0], z[1], memory[0].tanh(), memory[1], openings=8)
    dream = DreamConfig(temperature=0.7, horizon=40, openings=0.5)
    world = DreamWorld(model, starts, dream)
    controller = ControllerConfig("zh", 19)
    parameters = torch.randn(5, controller.parameter_count)
    seeds = [11, 12, 13, 14]
    found = returns(controller, parameters, world, seeds)
    first, memory, keys = fall_asleep(starts, seeds * 5, 0.5)
    begun = PlainDreams(first, *memory, torch.zeros(20, dtype=torch.bool))
    plain = PlainMemory.like(model)

    def uniform(t: int) -> Tensor:
        return noise.uniform(keys, t, 3)

    expected = play(plain, begun, controller, "zh", parameters, uniform, 0.7, 40)
    assert expected.shape == (5, 4)
    same(found, expected, 4)
    half = play(plain, begun, controller, "zh", parameters, uniform, 0.7, 20)
    over = (half - expected).abs() < 1e-12
    assert 0 < over.sum() < over.numel(), "some ended in the first half, and not all"


def test_the_search_draws_and_moves_as_the_library_does():
    """The first generation: later ones differ by the library's negative weights."""
    start = np.linspace(-1, 1, 7).astype(np.float32)
    theirs, plain = CMAES(start, 0.3, 12, seed=5), PlainCMAES(start, 0.3, 12, numpy_stream(5, "cma"))
    asked = plain.ask()
    near = 1e-4  # by which the library moves the first axes, so that no two are of one length
    np.testing.assert_allclose(theirs.ask(), asked, atol=near)
    fitness = np.random.default_rng(0).normal(size=12)
    theirs.tell(fitness)
    plain.tell(fitness)
    np.testing.assert_allclose(theirs.mean, plain.mean, atol=near)
    assert np.abs(plain.mean - start).max() > 0.05
    assert theirs.sigma == pytest.approx(plain.sigma, rel=0.02)


def test_the_search_finds_a_narrow_valley():
    scales = 10.0 ** np.linspace(0, 3, 6)
    plain = PlainCMAES(np.ones(6), 0.5, 10, np.random.default_rng(0))
    for _ in range(300):
        population = plain.ask()
        plain.tell(-(scales * population**2).sum(axis=1))
    assert np.abs(plain.mean).max() < 1e-6
    found = np.linalg.eigvalsh(plain.C)
    assert found[-1] / found[0] == pytest.approx(1e3, rel=0.9), "it has learnt the valley's shape"
