"""Mixtures: densities and draws against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal
from torch.testing import assert_close

from worldmodels.memory.mixture import Mixture

components = st.lists(
    st.tuples(st.floats(-4, 4), st.floats(-5, 5), st.floats(-2, 1.5)), min_size=1, max_size=5
)  # (log_pi, mu, log_sigma) of each component
temperatures = st.floats(0.05, 3)


def mixture_of(components: list[tuple[float, float, float]]) -> Mixture:
    """One mixture, fields (1, K), in double precision."""
    return Mixture(*torch.tensor(components, dtype=torch.float64).T.unsqueeze(1))


def random_mixture(*shape: int, seed: int = 0) -> Mixture:
    generator = torch.Generator().manual_seed(seed)
    log_pi, mu, log_sigma = torch.randn(3, *shape, generator=generator)
    return Mixture(log_pi, 3 * mu, 0.5 * log_sigma)


def evenly(count: int) -> Tensor:
    """`count` numbers that share out (0, 1) evenly."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def draws(mixture: Mixture, uniform: Tensor, temperature: float) -> Tensor:
    """One draw from the same mixture, fields (1, K), for each uniform number (S,)."""
    return Mixture(*(field.expand(len(uniform), -1) for field in mixture)).sample(uniform, temperature)


def cdf(mixture: Mixture, z: Tensor, temperature: float) -> Tensor:
    """Closed form of the distribution function of one mixture, fields (1, K), at z (S,)."""
    weights = torch.softmax(mixture.log_pi / temperature, dim=-1)
    sigma = torch.exp(mixture.log_sigma) * math.sqrt(temperature)
    return (weights * torch.special.ndtr((z.unsqueeze(-1) - mixture.mu) / sigma)).sum(dim=-1)


def test_the_head_is_split_into_weights_means_and_widths():
    outputs = torch.arange(2 * 3 * 4 * 5.0).view(2, 3 * 4 * 5)
    mixture = Mixture.from_head(outputs, latent_size=4, mixtures=5)
    assert all(field.shape == (2, 4, 5) for field in mixture)
    assert torch.equal(torch.cat([field.flatten(1) for field in mixture], dim=1), outputs)
    assert torch.equal(mixture.mu[1, 2], outputs[1, 20 + 2 * 5 : 20 + 3 * 5])


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 2), st.floats(-9, 9))
def test_one_component_is_a_normal_distribution(z: float, mu: float, log_sigma: float, log_pi: float):
    mixture = mixture_of([(log_pi, mu, log_sigma)])
    expected = Normal(mu, math.exp(log_sigma)).log_prob(torch.tensor([z], dtype=torch.float64))
    assert_close(mixture.log_prob(torch.tensor([z], dtype=torch.float64)), expected, rtol=1e-6, atol=1e-6)


def test_the_density_is_that_of_torch_distributions():
    mixture = random_mixture(6, 3, 5)
    z = 2 * torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    expected = MixtureSameFamily(
        Categorical(logits=mixture.log_pi), Normal(mixture.mu, torch.exp(mixture.log_sigma))
    )
    assert_close(mixture.log_prob(z), expected.log_prob(z), rtol=1e-5, atol=1e-5)
    assert_close(mixture.mean(), expected.mean, rtol=1e-5, atol=1e-5)


@given(components)
def test_the_density_integrates_to_one(components: list[tuple[float, float, float]]):
    mixture = mixture_of(components)
    z = torch.linspace(-50, 50, 40_001, dtype=torch.float64).unsqueeze(1)  # the narrowest sigma is 0.135
    density = torch.exp(mixture.log_prob(z)).squeeze(1)
    assert float(torch.trapezoid(density, z.squeeze(1))) == pytest.approx(1, abs=1e-6)


def test_only_differences_of_logits_count():
    mixture, z = random_mixture(3, 5), torch.zeros(3)
    shifted = mixture._replace(log_pi=mixture.log_pi + 7)
    assert_close(shifted.log_prob(z), mixture.log_prob(z))
    uniform = torch.full((3,), 0.3)
    assert_close(shifted.sample(uniform), mixture.sample(uniform))


def test_far_away_the_density_is_small_and_finite():
    mixture = Mixture(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2))
    log_prob = mixture.log_prob(torch.tensor([1e4]))
    assert float(log_prob) == pytest.approx(-0.5e8, rel=1e-5)


@given(components, temperatures)
def test_draws_follow_the_mixture(components: list[tuple[float, float, float]], temperature: float):
    """Kolmogorov-Smirnov, for numbers that share out (0, 1) evenly: no luck in it, so the bound is tight."""
    count, mixture = 5000, mixture_of(components)
    z, _ = draws(mixture, evenly(count), temperature).sort()
    distance = (cdf(mixture, z, temperature) - evenly(count)).abs().max()
    assert float(distance) < (len(components) + 1) / count


def test_draws_with_random_numbers_follow_the_mixture():
    count = 200_000
    mixture = random_mixture(1, 5, seed=3)
    z, _ = draws(mixture, torch.rand(count, generator=torch.Generator().manual_seed(0)), 1.15).sort()
    distance = (cdf(mixture, z, 1.15) - evenly(count)).abs().max()
    assert float(distance) < 1.95 / math.sqrt(count)  # exceeded once in a thousand seeds


@given(components)
def test_near_temperature_zero_the_heaviest_component_answers_with_its_mean(
    components: list[tuple[float, float, float]],
):
    log_pi, mu, _ = max(components)
    lighter = [component for component in components if log_pi - component[0] > 0.01]
    mixture = mixture_of([max(components), *lighter])
    drawn = draws(mixture, evenly(99), 1e-9)
    assert_close(drawn, torch.full((99,), mu, dtype=torch.float64), rtol=0, atol=1e-3)


@given(st.floats(-5, 5), st.floats(-2, 1), temperatures, st.floats(0.01, 0.99))
def test_the_noise_grows_with_the_root_of_the_temperature(
    mu: float, log_sigma: float, temperature: float, uniform: float
):
    drawn = mixture_of([(0, mu, log_sigma)]).sample(torch.tensor([uniform], dtype=torch.float64), temperature)
    normal = torch.special.ndtri(torch.tensor([uniform], dtype=torch.float64))
    assert_close(drawn, mu + math.exp(log_sigma) * math.sqrt(temperature) * normal, rtol=1e-6, atol=1e-6)


@given(components, temperatures)
def test_the_weights_are_the_softmax_of_the_logits_over_the_temperature(
    components: list[tuple[float, float, float]], temperature: float
):
    far_apart = [(log_pi, 1000.0 * i, 0.0) for i, (log_pi, _, _) in enumerate(components)]
    mixture = mixture_of(far_apart)
    chosen = (draws(mixture, evenly(10_000), temperature) / 1000).round().long()
    shares = torch.bincount(chosen, minlength=len(components)) / 10_000
    expected = torch.softmax(mixture.log_pi[0] / temperature, dim=0)
    assert_close(shares, expected.float(), rtol=0, atol=2e-4)


def sampled_by_the_book(mixture: Mixture, uniform: Tensor, temperature: float) -> Tensor:
    """`Mixture.sample` by softmax, running sum, search and the inverse error function."""
    cdf = torch.softmax(mixture.log_pi / temperature, dim=-1).cumsum(dim=-1)  # (..., Z, K)
    chosen = (uniform.unsqueeze(-1) > cdf[..., :-1]).sum(dim=-1, keepdim=True)  # (..., Z, 1)
    upper = cdf.gather(-1, chosen)
    lower = torch.where(chosen > 0, cdf.gather(-1, (chosen - 1).clamp_min(0)), torch.zeros_like(upper))
    rest = ((uniform.unsqueeze(-1) - lower) / (upper - lower)).clamp(1e-6, 1 - 1e-6)
    noise = math.sqrt(2) * torch.erfinv(2 * rest - 1)
    mu, log_sigma = mixture.mu.gather(-1, chosen), mixture.log_sigma.gather(-1, chosen)
    return (mu + math.sqrt(temperature) * torch.exp(log_sigma) * noise).squeeze(-1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.15, 3.0])
def test_draws_are_those_of_the_plain_formula(temperature: float):
    mixture = random_mixture(500, 32, 5)
    uniform = torch.rand(500, 32, generator=torch.Generator().manual_seed(7))
    exact = sampled_by_the_book(Mixture(*(part.double() for part in mixture)), uniform.double(), temperature)
    error = (mixture.sample(uniform, temperature) - exact).abs().flatten()
    plain = (sampled_by_the_book(mixture, uniform, temperature) - exact).abs().flatten()
    # What is left of the number within a thin slice has few digits, by either formula.
    assert float(error.quantile(0.99)) < 1e-5 * max(1, temperature**0.5)
    assert float(error.quantile(0.999)) < 2 * float(plain.quantile(0.999))
    assert float(error.mean()) < 2 * float(plain.mean())


def test_where_the_components_lie_in_memory_makes_no_difference():
    mixture = random_mixture(50, 8, 5)
    uniform = torch.rand(50, 8, generator=torch.Generator().manual_seed(7))
    turned = Mixture(*(part.transpose(-1, -2).contiguous().transpose(-1, -2) for part in mixture))
    assert turned.mu.stride() != mixture.mu.stride()
    assert torch.equal(turned.sample(uniform, 1.15), mixture.sample(uniform, 1.15))


def test_a_tensor_of_temperatures_is_each_ones_own():
    mixture = random_mixture(3, 4, 5)
    uniform = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    each = mixture.sample(uniform, torch.tensor([[0.5], [1.0], [1.3]]))
    for row, temperature in enumerate((0.5, 1.0, 1.3)):
        assert_close(each[row], mixture.sample(uniform, temperature)[row])
    assert_close(mixture.sample(uniform, torch.tensor([1.15])), mixture.sample(uniform, 1.15))


def test_a_draw_alone_is_the_draw_among_others():
    mixture = random_mixture(7, 4, 5)
    uniform = torch.rand(7, 4, generator=torch.Generator().manual_seed(0))
    together = mixture.sample(uniform)
    for row in range(7):
        alone = Mixture(*(field[row : row + 1] for field in mixture)).sample(uniform[row : row + 1])
        assert torch.equal(alone, together[row : row + 1])


@given(
    st.lists(st.floats(-200, 200, width=32), min_size=2, max_size=5),
    st.sampled_from([2.0**-24, 1e-6, 0.5, 1 - 1e-6, 1 - 2.0**-24]),
    st.sampled_from([0.01, 1.0, 100.0]),
)
def test_a_draw_is_always_finite_and_near_a_component(
    logits: list[float], uniform: float, temperature: float
):
    zeros = torch.zeros(1, len(logits))
    mixture = Mixture(torch.tensor([logits]), zeros, zeros)
    drawn = float(mixture.sample(torch.tensor([uniform]), temperature))
    assert abs(drawn) < 5 * math.sqrt(temperature)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float):
    with pytest.raises(ValueError, match=f"temperature must be a positive number, got {temperature}"):
        random_mixture(2, 3).sample(torch.full((2,), 0.5), temperature)
