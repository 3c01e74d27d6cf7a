"""V: the paper's network and the paper's loss, each number against its closed form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from worldmodels.vision.vae import (
    VAE,
    VAEConfig,
    frames,
    kl_to_prior,
    pixels,
    salience_weight,
    sample_latent,
)


@pytest.fixture(scope="module")
def model() -> VAE:
    torch.manual_seed(0)
    return VAE(VAEConfig(latent_size=8)).requires_grad_(False)


def random_frames(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 64, 64, 3), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(("latent_size", "count"), [(32, 4_348_547), (64, 4_446_915)])
def test_the_parameter_counts_are_the_papers(latent_size: int, count: int):
    with torch.device("meta"):
        model = VAE(VAEConfig(latent_size=latent_size))
    assert sum(p.numel() for p in model.parameters()) == count


def test_layers_computed_in_another_way_are_the_papers():
    """The first and the last of the decoder and the last of the encoder: values and gradients, in double precision."""
    torch.manual_seed(1)
    model = VAE(VAEConfig(latent_size=8)).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    seen, z = pixels(random_frames(7)).double(), torch.randn(7, 8, dtype=torch.float64)

    def gradients(outputs: list[Tensor]) -> list[Tensor]:
        weighted = [
            (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum() for output in outputs
        ]
        total = torch.stack(weighted).sum()
        return list(torch.autograd.grad(total, list(model.parameters())))

    hidden = model.encoder(seen).flatten(1)
    by_layers = [model.mu(hidden), model.logvar(hidden), model.decoder(model.expand(z)[:, :, None, None])]
    computed = [*model.encode(seen), model.decode(z)]
    assert_close(computed, by_layers, rtol=1e-9, atol=1e-12)
    assert_close(gradients(computed), gradients(by_layers), rtol=1e-8, atol=1e-12)


def test_shapes_and_ranges(model: VAE):
    mu, logvar = model.encode(pixels(random_frames(2)))
    assert mu.shape == logvar.shape == (2, 8)
    decoded = model.decode(mu)
    assert decoded.shape == (2, 3, 64, 64)
    assert 0 < float(decoded.min()) <= float(decoded.max()) < 1


def test_a_frame_alone_is_seen_as_among_seven(model: VAE):
    seven = pixels(random_frames(7))
    mu, logvar = model.encode(seven)
    decoded = model.decode(mu)
    for row in range(7):
        alone = model.encode(seven[row : row + 1])
        assert_close(alone, (mu[row : row + 1], logvar[row : row + 1]), rtol=1e-4, atol=1e-6)
        assert_close(model.decode(mu[row : row + 1]), decoded[row : row + 1], rtol=1e-4, atol=1e-6)


def test_pixels_and_frames_are_inverse_for_every_value():
    every = torch.arange(256, dtype=torch.uint8).repeat(48).view(1, 64, 64, 3)
    seen = pixels(every)
    assert seen.shape == (1, 3, 64, 64)
    assert (float(seen.min()), float(seen.max())) == (0.0, 1.0)
    assert torch.equal(frames(seen), every)
    assert torch.equal(seen[0, 1, 5, 9], every[0, 5, 9, 1] / 255)


def test_pixels_lie_channels_last_in_memory_and_leave_the_frames_alone():
    stored = random_frames(2)
    before = stored.clone()
    assert pixels(stored).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(stored, before)


def test_frames_rounds_and_clips():
    values = torch.tensor([-0.1, 0.4 / 255, 0.6 / 255, 1.0, 1.1]).view(5, 1, 1, 1)
    assert frames(values).flatten().tolist() == [0, 0, 1, 255, 255]


def test_the_kl_at_the_prior_is_zero():
    assert torch.equal(kl_to_prior(torch.zeros(3, 8), torch.zeros(3, 8)), torch.zeros(3))


latents = st.lists(st.tuples(st.floats(-5, 5), st.floats(-6, 4)), min_size=1, max_size=6)


@given(latents)
def test_the_kl_is_that_of_torch_distributions(posterior: list[tuple[float, float]]):
    mu, logvar = torch.tensor(posterior, dtype=torch.float64).unbind(dim=1)
    expected = kl_divergence(Normal(mu, torch.exp(0.5 * logvar)), Normal(torch.zeros_like(mu), 1.0)).sum()
    assert_close(kl_to_prior(mu, logvar), expected, rtol=1e-9, atol=1e-9)
    assert float(kl_to_prior(mu, logvar)) >= -1e-12


def test_samples_have_the_posteriors_mean_and_variance():
    noise = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))
    z = sample_latent(torch.tensor([2.0]), torch.tensor([0.5]).log(), noise)
    assert float(z.mean()) == pytest.approx(2.0, abs=0.01)
    assert float(z.var()) == pytest.approx(0.5, abs=0.01)


def grey_model(mu: float, logvar: float, free_nats: float = 0.5) -> VAE:
    """A V that decodes all to grey 0.5 and has one posterior for all frames, the same in its 4 dimensions."""
    model = VAE(VAEConfig(latent_size=4, free_nats=free_nats))
    with torch.no_grad():
        for layer, bias in ((model.mu, mu), (model.logvar, logvar), (model.decoder[6], 0.0)):
            layer.get_parameter("weight").zero_()
            layer.get_parameter("bias").fill_(bias)
    return model


def test_the_reconstruction_is_the_squared_error_of_a_frame():
    seen = pixels(random_frames(3))
    loss = grey_model(0.0, 0.0).loss(seen, torch.zeros(3, 4))
    expected = (seen - 0.5).square().sum(dim=(1, 2, 3)).mean()
    assert_close(loss.reconstruction, expected)


@pytest.mark.parametrize(
    ("mu", "free_nats", "charged"),
    [
        (0.0, 0.5, 2.0),  # no KL: the floor of 0.5 nats in each of 4 dimensions
        (0.9, 0.5, 2.0),  # 4 * 0.405 nats, below the floor
        (2.0, 0.5, 8.0),  # 4 * 2 nats, above it
        (0.9, 0.0, 1.62),  # no free bits
    ],
)
def test_the_kl_costs_nothing_below_the_free_bits(mu: float, free_nats: float, charged: float):
    loss = (
        grey_model(mu, 0.0, free_nats).requires_grad_(False).loss(pixels(random_frames(2)), torch.zeros(2, 4))
    )
    assert float(loss.kl) == pytest.approx(4 * mu**2 / 2, rel=1e-5)
    assert float(loss.total - loss.reconstruction) == pytest.approx(charged, rel=1e-3)


def test_the_floor_is_that_of_each_frame_and_not_of_the_batch():
    model = VAE(VAEConfig(latent_size=1, free_nats=0.5))
    seen = pixels(random_frames(2))
    with torch.no_grad():  # the posterior of the first frame is the prior, that of the second is far from it
        model.logvar.weight.zero_()
        model.logvar.bias.zero_()
        hidden = model.encoder(seen).flatten(1)
        away = hidden[1] - hidden[0]
        model.mu.weight.copy_(4 * away / away.square().sum())
        model.mu.bias.copy_(-model.mu.weight[0] @ hidden[0])
    loss = model.requires_grad_(False).loss(seen, torch.zeros(2, 1))
    assert float(loss.kl) == pytest.approx((0 + 8) / 2, rel=1e-3)
    assert float(loss.total - loss.reconstruction) == pytest.approx((0.5 + 8) / 2, rel=1e-3)


def test_below_the_floor_the_kl_pulls_at_nothing():
    model = grey_model(0.9, 0.0)
    loss = model.loss(pixels(random_frames(2)), torch.zeros(2, 4))
    (pull,) = torch.autograd.grad(loss.total - loss.reconstruction, [model.mu.bias])
    assert torch.equal(pull, torch.zeros(4))


def test_a_pixel_weighs_more_the_further_it_is_from_the_average():
    average = torch.full((3, 64, 64), 0.25)
    seen = average.repeat(2, 1, 1, 1)
    seen[1, 0, 5, 7] += 0.6  # one channel of one pixel
    weight = salience_weight(seen, average, 50.0)
    assert weight.shape == (2, 1, 64, 64)
    assert weight[1, 0, 5, 7].item() == pytest.approx(1 + 50 * 0.36 / 3)
    weight[1, 0, 5, 7] = 1
    assert_close(weight, torch.ones(2, 1, 64, 64))


def test_weights_change_what_is_minimised_and_not_what_is_reported(model: VAE):
    seen, noise = pixels(random_frames(3)), torch.zeros(3, 8)
    plain = model.loss(seen, noise)
    same = model.loss(seen, noise, torch.ones(3, 1, 64, 64))
    thrice = model.loss(seen, noise, torch.full((3, 1, 64, 64), 3.0))
    assert_close(same, plain)
    assert_close((thrice.reconstruction, thrice.kl), (plain.reconstruction, plain.kl))
    assert_close(thrice.total - plain.total, 2 * plain.reconstruction)
    one = torch.zeros(3, 1, 64, 64)
    one[:, :, 30, 20] = 1
    decoded = model.decode(model.encode(seen)[0])
    error = (decoded - seen)[:, :, 30, 20].square().sum() / 3
    floor = model.loss(seen, noise, 0 * one).total
    assert_close(model.loss(seen, noise, one).total - floor, error, rtol=1e-3, atol=1e-4)


def test_mixed_precision_gives_nearly_the_same_loss(model: VAE):
    seen, noise = pixels(random_frames(4)), torch.zeros(4, 8)
    exact = model.loss(seen, noise)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model.loss(seen, noise)
    assert_close(mixed.reconstruction, exact.reconstruction, rtol=0.01, atol=0)
    assert_close(mixed.total, exact.total, rtol=0.01, atol=0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"latent_size": 0}, "latent_size must be at least 1, got 0"),
        ({"free_nats": -0.1}, "free_nats must not be negative, got -0.1"),
    ],
)
def test_nonsense_is_refused(settings: dict[str, float], says: str):
    with pytest.raises(ValueError, match=says):
        VAEConfig(**settings)  # type: ignore[arg-type]
