"""The random numbers of a dream: random to look at, and a function of the dream's seed and tick alone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from worldmodels.worlds import noise

WORD = 0xFFFFFFFF


def test_the_numbers_are_these():
    """They make every dream what it is: another value here, and no dream of old can be dreamt again."""
    words = noise.uniform(noise.keys([0, 1, -1, 2**63 - 1]), tick=3, count=2) * 2**23 - 0.5
    assert words.long().tolist() == [
        [3815601, 6233256],
        [7886204, 1537014],
        [264950, 456403],
        [5858356, 5844544],
    ]
    assert noise.fork(noise.keys([5]), 2).tolist() == [4236514929]


def mix(x: int) -> int:
    """The hash in plain integers."""
    x ^= x >> 16
    x = x * 0x7FEB352D & WORD
    x ^= x >> 15
    x = x * 0x846CA68B & WORD
    return x ^ x >> 16


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**20), st.integers(1, 70))
def test_the_hash_does_not_overflow(seed: int, tick: int, count: int):
    seed &= 2**64 - 1
    key = mix(mix(seed & WORD) ^ seed >> 32)
    assert noise.keys([seed]).tolist() == [key]
    counter = tick * count + count - 1
    word = mix(mix(mix(counter & WORD) ^ key) + 0x9E3779B9 & WORD)
    drawn = noise.uniform(noise.keys([seed]), tick, count)
    assert float(drawn[0, -1]) == ((word >> 9) + 0.5) * 2**-23


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=20), st.integers(0, 10_000))
def test_numbers_lie_strictly_between_zero_and_one(seeds: list[int], tick: int):
    drawn = noise.uniform(noise.keys(seeds), tick, 33)
    assert drawn.shape == (len(seeds), 33)
    assert drawn.dtype == torch.float32
    assert bool(((drawn > 0) & (drawn < 1)).all())


def test_the_outermost_words_are_inside_the_interval():
    outermost = (torch.tensor([0, 2**23 - 1]).float() + 0.5) * 2.0**-23  # as in `uniform`
    assert 0 < float(outermost[0]) < float(outermost[1]) < 1
    assert bool(torch.isfinite(noise.to_normal(outermost)).all())


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=8, unique=True), st.integers(0, 1000))
def test_a_number_depends_on_its_own_dream_alone(seeds: list[int], tick: int):
    together = noise.uniform(noise.keys(seeds), tick, 5)
    for row, seed in enumerate(seeds):
        assert torch.equal(noise.uniform(noise.keys([seed]), tick, 5)[0], together[row])


def sample_of(count: int) -> Tensor:
    """(keys, ticks, dimensions) numbers of neighbouring seeds, ticks and dimensions."""
    keys = noise.keys(range(count))
    return torch.stack([noise.uniform(keys, tick, 32) for tick in range(count)], dim=1)


@pytest.fixture(scope="module")
def drawn() -> Tensor:
    return sample_of(100)  # (100, 100, 32)


def test_numbers_fill_the_interval_evenly(drawn: Tensor):
    """Chi-square over 256 equal bins, and Kolmogorov-Smirnov."""
    values = drawn.flatten().double()
    counts = torch.histc(values, bins=256, min=0, max=1)
    expected = len(values) / 256
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi_square - 255) < 4 * math.sqrt(2 * 255)
    ordered, _ = values.sort()
    distance = (ordered - (torch.arange(len(values)) + 0.5) / len(values)).abs().max()
    assert float(distance) < 1.95 / math.sqrt(len(values))


def test_every_bit_is_a_fair_coin(drawn: Tensor):
    words = (drawn.flatten().double() * 2**23 - 0.5).long()
    for bit in range(23):
        share = float(((words >> bit) & 1).double().mean())
        assert abs(share - 0.5) < 4.5 * 0.5 / math.sqrt(len(words)), f"bit {bit}"


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]).double())[0, 1])


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["seeds", "ticks", "dimensions"])
@pytest.mark.parametrize("apart", [1, 2, 16])
def test_neighbours_have_nothing_to_do_with_each_other(drawn: Tensor, axis: int, apart: int):
    rest = drawn.shape[axis] - apart
    near, far = drawn.narrow(axis, 0, rest), drawn.narrow(axis, apart, rest)
    bound = 4.5 / math.sqrt(near.numel())
    assert abs(correlation(near, far)) < bound
    assert abs(correlation((near - 0.5) ** 2, (far - 0.5) ** 2)) < bound
    assert abs(correlation((near * 64) % 1, (far * 64) % 1)) < bound, "in the lower bits"


def test_the_mean_of_each_seed_tick_and_dimension_is_a_half(drawn: Tensor):
    for axes in ((1, 2), (0, 2), (0, 1)):
        means = drawn.double().mean(dim=axes)
        size = drawn.numel() / len(means)
        assert float((means - 0.5).abs().max()) < 4.5 * math.sqrt(1 / 12 / size), axes


def test_ticks_do_not_overlap():
    """A tick's numbers are not those of the tick before, shifted."""
    numbers = torch.cat([noise.uniform(noise.keys([7]), tick, 3) for tick in range(500)], dim=1)
    assert len(numbers.unique()) == numbers.numel()


def test_seeds_have_keys_of_their_own():
    assert len(noise.keys(range(-1000, 20_000)).unique()) > 21_000 - 3  # 0.05 coincidences are expected
    assert len(noise.keys([s << 32 for s in range(1000)]).unique()) == 1000, "the upper half counts"


def test_forks_are_independent_streams():
    keys = noise.keys(range(2000))
    streams = torch.stack([noise.uniform(noise.fork(keys, number), 0, 16) for number in range(4)])
    plain = noise.uniform(keys, 0, 16)
    for a in range(4):
        for other in (plain, *streams[:a]):
            assert abs(correlation(streams[a], other)) < 4.5 / math.sqrt(plain.numel())
    assert len(streams.unique()) > 0.98 * streams.numel()  # 23 bits: half a percent meet by chance


def test_normal_numbers_are_standard_normal():
    values = noise.normal(noise.keys(range(4000)), 0, 32).double()
    assert float(values.mean()) == pytest.approx(0, abs=0.012)
    assert float(values.std()) == pytest.approx(1, abs=0.01)
    ordered, _ = values.flatten().sort()
    ideal = torch.special.ndtr(ordered)
    distance = (ideal - (torch.arange(len(ordered)) + 0.5) / len(ordered)).abs().max()
    assert float(distance) < 1.95 / math.sqrt(len(ordered))


def test_the_inverse_distribution_function_is_exact():
    uniform = torch.linspace(0.001, 0.999, 999)
    assert_close(torch.special.ndtr(noise.to_normal(uniform)), uniform, rtol=1e-4, atol=1e-6)


def test_dreams_may_be_at_ticks_of_their_own():
    keys, ticks = noise.keys([4, 5, 4]), torch.tensor([0, 7, 3])
    apart = [noise.uniform(keys[i : i + 1], int(tick), 6) for i, tick in enumerate(ticks)]
    assert torch.equal(noise.uniform(keys, ticks, 6), torch.cat(apart))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_numbers_are_the_same_on_a_gpu():
    seeds = [0, 1, -5, 2**62, 123456789]
    on_cpu, on_gpu = (noise.uniform(noise.fork(noise.keys(seeds, d), 2), 9, 64) for d in ("cpu", "cuda"))
    assert torch.equal(on_cpu, on_gpu.cpu())
