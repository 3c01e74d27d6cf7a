"""What is measured of the dream and of the search."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from worldmodels.bench import dreaming
from worldmodels.bench.conditions import Conditions
from worldmodels.bench.dreaming import SEARCHES, dream_world, endless_memory, measure_dreaming, plain_dreams
from worldmodels.bench.measurement import Budget
from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution.fitness import returns
from worldmodels.memory.mdn_rnn import MDNRNNConfig
from worldmodels.worlds.dream import DreamWorld


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> list[DreamWorld]:
    """The worlds that were told to compile, which would take half a minute."""
    asked: list[DreamWorld] = []
    monkeypatch.setattr(DreamWorld, "compile", lambda world: asked.append(world))
    monkeypatch.setattr(dreaming, "TICKS", 20)
    return asked


def test_dreams_generation_and_search_are_measured(conditions: Conditions, uncompiled, one_thread):
    told: list[str] = []
    with one_thread():
        found = measure_dreaming(conditions, {"dream", "generation", *SEARCHES}, told.append, (1, 16, 128))
    names = ["dream.1", "dream.16", "dream.128", "generation", "cma", "search_device"]
    assert told == [row.name for row in found] == names
    assert [row.unit for row in found] == ["ticks"] * 3 + ["seconds"] * 3
    assert len(uncompiled) == 1, "compiled as in production, and once"
    for row in found:
        assert row.value is not None
        assert row.low is not None
        assert row.high is not None
        assert 0 < row.low <= row.value <= row.high
        assert row.plain is not None
        assert row.plain > 0
        assert row.fraction is not None
        assert 0 < row.fraction < 1, "peaks of 200 GFLOP/s"


def test_take_cover_is_measured_too(take_cover: Conditions, one_thread):
    with one_thread():
        found = measure_dreaming(take_cover, {"dream", "generation"}, lambda _: None, (64,))
    assert [row.name for row in found if row.ratio is not None] == ["dream.64", "generation"]


def test_dreams_that_a_budget_has_no_time_for_are_left_out(conditions: Conditions, one_thread):
    told: list[str] = []
    with one_thread():
        first, second = measure_dreaming(conditions, {"dream"}, told.append, (4, 10**9))
    assert first.value is not None
    assert second.value is None
    assert "too long for a measurement of 0.01 s" in second.note
    assert told == ["dream.4", "dream.1000000000"]


@pytest.mark.parametrize("rewarded", [True, False])
def test_the_measured_dreams_never_end(conditions: Conditions, rewarded: bool):
    """Where every tick pays 1, each dream earns as many as there are."""
    experiment = conditions.experiment
    settings = MDNRNNConfig(4, 3, 8, 2, predicts_reward=rewarded, predicts_end=True)
    conditions = replace(conditions, experiment=replace(experiment, mdn_rnn=settings))
    world = dream_world(conditions, endless_memory(conditions), 50)
    config = ControllerConfig(feature_size=12)
    earned = returns(config, torch.randn(3, config.parameter_count), world, range(5))
    assert not bool(world._dreams.ended.any())
    assert bool(torch.isfinite(earned).all())
    assert torch.equal(earned, torch.full((3, 5), 50.0)) is not rewarded


def test_a_generation_is_measured_whole_and_the_plain_one_in_part(
    conditions: Conditions, monkeypatch: pytest.MonkeyPatch, one_thread
):
    plain_ticks: list[int] = []
    played: list[tuple[int, ...]] = []
    play, whole = dreaming.play, dreaming.returns

    def playing(*arguments):
        plain_ticks.append(arguments[-1])
        return play(*arguments)

    def returning(*arguments):
        earned = whole(*arguments)
        played.append((arguments[2].horizon, *earned.shape))
        return earned

    monkeypatch.setattr(dreaming, "play", playing)
    monkeypatch.setattr(dreaming, "returns", returning)
    with one_thread():
        (found,) = measure_dreaming(
            replace(conditions, budget=Budget(0.0, 1, 0)), {"generation"}, lambda _: None
        )
    assert plain_ticks == [1]
    assert set(played) == {(20, 64, 16)}
    assert "5%" in found.note
    assert found.bound in ("products", "copying")


def test_plain_dreams_begin_where_the_others_do(conditions: Conditions):
    world = dream_world(conditions, endless_memory(conditions), 5)
    begun = plain_dreams(world, 6)
    assert torch.equal(torch.cat([begun.z, begun.h], dim=1), world.reset(range(6)))
    assert not bool(begun.ended.any())
