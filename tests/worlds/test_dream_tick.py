"""A tick of the dream: its temperature, its dropout, the noise on its actions, and the road that it leaves behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from inspect import signature
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from worldmodels.memory.mdn_rnn import MDNRNN, tick
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig, left_out, road
from worldmodels.worlds.starts import Starts
from worldmodels.worlds.state import Step

SLOWLY = -1.0  # an action with which the dream of these tests goes on


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What M's tick is given, by name, a dictionary for each tick that is dreamt."""
    told: list[dict[str, Any]] = []

    def recording(*arguments: Any) -> object:
        told.append(dict(zip(signature(tick).parameters, arguments, strict=True)))
        return tick(*arguments)

    monkeypatch.setattr("worldmodels.worlds.dream_tick.tick", recording)
    return told


def play(world: DreamWorld, seeds: Sequence[int], ticks: int, action: float = SLOWLY) -> list[Step]:
    """So many ticks of one action."""
    world.reset(seeds)
    return [world.step(torch.full((len(seeds), 2), action)) for _ in range(ticks)]


def test_road_is_what_is_earned_and_what_is_missed():
    rewards = torch.tensor([-0.4, 0.0, 0.25, 1.0, 3.5])
    assert road(rewards, 0.0).tolist() == [0.0, 0.0, 0.25, 1.0, 3.5]
    assert road(rewards, 4.0).tolist() == [4.0, 4.0, 3.25, 1.0, 3.5]
    assert left_out(rewards, 4.0).tolist() == [4.0, 4.0, 3.0, 0.0, 0.0]


def test_a_hotter_dream_is_more_uncertain(memory: MDNRNN, starts: Starts):
    spread = {}
    for temperature in (0.01, 1.0, 1.3):
        one = Starts(*(tensor[:1] for tensor in (starts.mu, starts.logvar, starts.h, starts.c)), openings=1)
        world = DreamWorld(memory, one, DreamConfig(temperature=temperature), "z")
        spread[temperature] = float(play(world, range(2000), 1)[0].features.std())
    assert spread[0.01] < spread[1.0] < spread[1.3]


def test_each_dream_has_a_temperature_of_its_own_from_its_seed(
    memory: MDNRNN, starts: Starts, given: list[dict[str, Any]]
):
    world = DreamWorld(memory, starts, DreamConfig(temperature=1.5, temperature_spread=0.2))
    play(world, range(4000), 3)
    used = [told["temperature"] for told in given]
    assert all(torch.equal(used[0], later) for later in used), "as long as it is dreamt"
    quarters = used[0].squeeze(1).quantile(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert_close(quarters, torch.tensor([1.2, 1.35, 1.5, 1.65, 1.8]), rtol=0, atol=0.02)
    play(world, [17], 1)
    assert torch.equal(given[-1]["temperature"][0], used[0][17]), "alone as among thousands"


def test_with_dropout_heads_miss_a_share_of_the_units_and_other_ones_at_each_tick(
    memory: MDNRNN, starts: Starts, given: list[dict[str, Any]]
):
    steps = play(DreamWorld(memory, starts, DreamConfig(dropout=0.2)), range(2000), 2)
    plain = play(DreamWorld(memory, starts, DreamConfig()), range(2000), 2)
    kept, size = [told["kept"] for told in given[:2]], memory.config.latent_size
    assert_close(steps[0].features[:, size:], plain[0].features[:, size:])  # memory is what it was
    assert not torch.allclose(steps[0].features[:, :size], plain[0].features[:, :size])
    assert float((kept[0] == 0).float().mean()) == pytest.approx(0.2, abs=0.01)
    assert kept[0].max() == pytest.approx(1.25)
    assert float((kept[0] == kept[1]).float().mean()) == pytest.approx(0.8**2 + 0.2**2, abs=0.02)


def test_action_noise_is_smooth_stays_in_bounds_and_follows_the_seed(
    memory: MDNRNN, starts: Starts, given: list[dict[str, Any]]
):
    config = DreamConfig(action_noise=0.2, noise_correlation=0.9)
    bounds = (torch.tensor([-1.0, -0.6]), torch.tensor([1.0, -0.4]))
    world = DreamWorld(memory, starts, config, action_bounds=bounds)
    play(world, range(400), 80, -0.5)
    away = torch.stack([told["action"] for told in given], dim=1) + 0.5  # (400, 80, 2)
    settled = away[:, 40:, 0]
    assert float(settled.mean()) == pytest.approx(0, abs=0.02)
    assert float(settled.std()) == pytest.approx(0.2, abs=0.01)
    neighbours = torch.stack([settled[:, :-1].flatten(), settled[:, 1:].flatten()])
    assert float(torch.corrcoef(neighbours)[0, 1]) == pytest.approx(0.9, abs=0.02)
    assert float(away[..., 1].abs().max()) <= 0.1 + 1e-6
    given.clear()
    play(world, [17], 80, -0.5)
    assert_close(torch.stack([told["action"] for told in given], dim=1)[0] + 0.5, away[17])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"temperature": 0.0}, "temperature must be a positive number, got 0.0"),
        ({"temperature": -1.0}, "temperature must be a positive number, got -1.0"),
        ({"temperature": math.nan}, "temperature must be a positive number, got nan"),
        ({"temperature": math.inf}, "temperature must be a positive number, got inf"),
        ({"temperature_spread": -0.1}, r"temperature_spread must lie in \[0, 1\), got -0.1"),
        ({"temperature_spread": 1.0}, r"temperature_spread must lie in \[0, 1\), got 1.0"),
        ({"dropout": -0.1}, r"dropout must lie in \[0, 1\), got -0.1"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"horizon": 0}, "must be at least 1, got 0"),
        ({"starts": 0}, "must be at least 1, got 250, 0"),
        ({"openings": 1.5}, r"openings must lie in \[0, 1\], got 1.5"),
        ({"action_noise": -0.1}, "action_noise must not be negative, got -0.1"),
        ({"ends": "sometimes"}, "ends must be cut-off or drawn, got 'sometimes'"),
        ({"lap": 0.0}, "lap must lie above 0, got 0.0"),
        ({"lap": math.nan}, "lap must lie above 0, got nan"),
        ({"missed": -1.0}, "missed must not be negative, got -1.0"),
        ({"noise_correlation": 1.0}, r"noise_correlation must lie in \[0, 1\), got 1.0"),
    ],
)
def test_nonsense_is_refused(settings: dict[str, float | str], says: str):
    with pytest.raises(ValueError, match=says):
        DreamConfig(**settings)  # type: ignore[arg-type]
