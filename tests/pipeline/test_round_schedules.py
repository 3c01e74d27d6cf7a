"""What a round may have of its own: the share of V's noise with which M learns, the noise with which C explores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from worldmodels.cli import main
from worldmodels.experiments import RoundsConfig
from worldmodels.pipeline.work import open_run
from worldmodels.presets import preset
from worldmodels.runs.folder import RunFolder


def test_a_schedule_holds_on_and_without_one_every_round_learns_alike():
    experiment = preset("toy", "demo")
    scheduled = replace(experiment, rounds=replace(experiment.rounds, posteriors=(1.0, 0.3)))
    assert [scheduled.learning(round).posterior for round in range(3)] == [1.0, 0.3, 0.3]
    less = replace(experiment, memory=replace(experiment.memory, posterior=0.5))
    assert [less.learning(round).posterior for round in range(2)] == [0.5, 0.5]
    with pytest.raises(ValueError, match=r"rounds.posteriors must lie in \[0, 1\], got \(1.0, 1.1\)"):
        RoundsConfig(posteriors=(1.0, 1.1))


def test_an_m_that_is_trained_on_may_learn_more_slowly():
    experiment = preset("toy", "demo")
    first = experiment.memory.learning_rate
    slower = replace(experiment, rounds=replace(experiment.rounds, memory_rates=(first, first / 4)))
    assert [slower.learning(round).learning_rate for round in range(3)] == [first, first / 4, first / 4]
    assert replace(slower.learning(2), learning_rate=first) == experiment.memory
    assert experiment.learning(1) == experiment.memory
    with pytest.raises(ValueError, match=r"rounds.memory_rates must be positive numbers, got \(0.0,\)"):
        RoundsConfig(memory_rates=(0.0,))
    too_slow = replace(experiment.rounds, memory_rates=(first, experiment.memory.final_learning_rate / 2))
    with pytest.raises(ValueError, match=r"rounds.memory_rates .* learning rates must fall"):
        replace(experiment, rounds=too_slow)


def test_a_c_is_scored_in_whole_dreams_where_it_has_learnt_in_short_ones():
    experiment = preset("take-cover", "moments")
    assert experiment.rounds.horizons == (64,)
    assert experiment.whole_dream(1) == 2100
    longer = replace(experiment, dream=replace(experiment.dream, horizon=50))
    assert longer.whole_dream(0) == 64


def test_a_round_explores_with_its_own_noise_on_as_many_episodes():
    experiment = preset("car-racing", "dream")
    scheduled = replace(experiment, rounds=replace(experiment.rounds, noises=(0.5, 0.3, 0.1)))
    assert [scheduled.exploring(round).sigma for round in range(4)] == [0.5, 0.3, 0.1, 0.1]
    for round in range(4):
        assert replace(scheduled.exploring(round), sigma=scheduled.noise.sigma) == scheduled.noise
    always = replace(experiment, rounds=replace(experiment.rounds, noises=()))
    assert always.exploring(3) == always.noise
    with pytest.raises(ValueError, match=r"rounds.noises must be finite and not negative, got \(-0.1,\)"):
        RoundsConfig(noises=(-0.1,))


@pytest.mark.parametrize(
    ("schedule", "settings"),
    [("posteriors", ("1.0", "0.0")), ("noises", ("0.3", "0.9")), ("memory_rates", ("RATE", "1e-3"))],
)
def test_a_rounds_own_setting_changes_its_m_and_none_before(
    schedule: str,
    settings: tuple[str, str],
    toy_run: Path,
    tmp_path: Path,
    tiny: list[str],
    one_thread: Callable[[], Any],
):
    run, rate = tmp_path / "run", str(open_run(RunFolder(toy_run)).experiment.memory.learning_rate)
    given = [rate if setting == "RATE" else setting for setting in settings]
    with one_thread():
        assert main(["train", "toy", "--run", str(run), *tiny, f"--rounds.{schedule}", *given]) == 0
    first, second = "memory/round-00.safetensors", "memory/round-01.safetensors"
    assert (run / first).read_bytes() == (toy_run / first).read_bytes()
    assert (run / second).read_bytes() != (toy_run / second).read_bytes()
