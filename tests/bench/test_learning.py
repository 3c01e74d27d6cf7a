"""What is measured of V and M, and how a training is timed from outside."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodels.bench import clock, learning
from worldmodels.bench.clock import Enough, TrainingClock, training_ground
from worldmodels.bench.conditions import Conditions, lasting, patient, rated
from worldmodels.bench.measurement import Budget, Timing
from worldmodels.memory.train import MemoryTraining
from worldmodels.runs.optimise import LOG_EVERY
from worldmodels.vision.train import VisionTraining


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a batch of V's, and to learn from."""
    for name, value in (("BATCH", 3), ("EPISODES", 2), ("LENGTH", 9)):
        monkeypatch.setattr(learning, name, value)


@pytest.mark.usefixtures("few_frames")
def test_everything_is_measured_and_nothing_is_left(conditions: Conditions, temporary, capsys, one_thread):
    told: list[str] = []
    with one_thread():
        found = learning.measure_learning(conditions, learning_names(), told.append)
    assert told == [row.name for row in found] == learning_names()
    for row in found:
        assert row.value is not None
        assert row.low is not None
        assert row.high is not None
        assert 0 < row.low <= row.value <= row.high
        assert row.floor is not None
        assert row.plain is not None
        assert row.plain > 0
        assert row.floor > row.value, "peaks of 200 GFLOP/s"
        assert row.bound in ("products", "copying")
    assert not list(temporary.glob("worldmodels*"))
    assert capsys.readouterr().err == "", "the bars of the trainings themselves are not shown"


def learning_names() -> list[str]:
    return ["vision_train", "vision_encode", "vision_decode", "memory_train"]


@pytest.mark.usefixtures("few_frames")
def test_only_what_is_wanted_is_measured(conditions: Conditions, one_thread):
    with one_thread():
        found = learning.measure_learning(conditions, {"vision_decode"}, lambda _: None)
    assert [row.name for row in found] == ["vision_decode"]


def test_the_clock_counts_whole_steps_after_the_warm_up(monkeypatch: pytest.MonkeyPatch):
    moments = iter([0.0, 10.0, 11.0, 13.0, 14.0, 17.0])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(moments))
    timer = TrainingClock(Budget(seconds=5.0, least=2, warm_up=1))
    training = VisionTraining(learning_rate=0.5, final_learning_rate=0.5)
    heard = timer.listen(training)
    for step in range(5):
        assert heard.rate(step) == 0.5
        assert heard.rate(step) == 0.5, "the log asks once more, which is no step"
    with pytest.raises(Enough):
        heard.rate(5)
    # Steps of 1, 2, 1 and 3 seconds; that of 10 was the warm-up.
    assert (timer.timing().calls, timer.timing().median) == (4, 1.5)
    assert replace(heard, steps=7) == replace(training, steps=7)


def test_on_a_gpu_the_clock_waits_and_counts_many_steps_at_once(monkeypatch: pytest.MonkeyPatch):
    moments, waited = iter([0.0, 1.0, 3.0, 7.0]), []
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(moments))
    monkeypatch.setattr(clock.torch.cuda, "synchronize", waited.append)
    timer = TrainingClock(Budget(seconds=5.0, least=2, warm_up=1), "cuda")
    heard = timer.listen(VisionTraining(learning_rate=0.5, final_learning_rate=0.5))
    for step in range(3 * LOG_EVERY):
        heard.rate(step)
    with pytest.raises(Enough):
        heard.rate(3 * LOG_EVERY)
    assert len(waited) == 4
    assert timer.timing().calls == 2
    assert timer.timing().median == pytest.approx(3.0 / LOG_EVERY)


def test_the_ground_of_a_training_goes_with_it_however_it_ends(temporary):
    for ending in (Enough, KeyboardInterrupt):
        try:
            with training_ground() as run:
                run.path.joinpath("something").write_text("")
                print("a bar", file=sys.stderr)
                raise ending
        except KeyboardInterrupt:
            assert ending is KeyboardInterrupt, "which is for the command line"
        assert not list(temporary.iterdir())
    assert sys.stderr is not None


def test_sequences_are_as_long_as_the_budget_allows(conditions: Conditions):
    paper = conditions.experiment.memory.sequence_length
    slow = replace(conditions.peaks, f32_gflops=1e-3, bf16_gflops=1e-3)  # whichever this processor trains in
    conditions = replace(conditions, peaks=slow)
    assert learning.ticks_within(replace(conditions, budget=Budget(seconds=1e6))) == paper
    assert learning.ticks_within(replace(conditions, budget=Budget(seconds=1e-9))) == 32
    between = [learning.ticks_within(replace(conditions, budget=Budget(seconds=s))) for s in (4.0, 6.0)]
    assert 32 < between[0] < between[1] < paper


def test_take_cover_is_measured_too(take_cover: Conditions, one_thread):
    with one_thread():
        found = learning.memory_training(take_cover)
    assert found.ratio is not None
    assert found.note == ""


def test_what_is_cut_is_said(conditions: Conditions, monkeypatch: pytest.MonkeyPatch, one_thread):
    monkeypatch.setattr(learning, "ticks_within", lambda _: 5)
    with one_thread():
        assert learning.memory_training(conditions).note.startswith("5 ticks a sequence and not 80")
        short = MemoryTraining(batch_size=2, sequence_length=5)
        whole = replace(conditions, experiment=replace(conditions.experiment, memory=short))
        assert learning.memory_training(whole).note == ""


@pytest.mark.parametrize(("precision", "name"), [("f32", "f32"), ("bf16", "bf16")])
def test_the_precision_is_that_of_the_training(precision, name):
    training = VisionTraining(precision=precision)
    assert learning.precision_of(training, torch.device("cpu")) == name


def test_rates_and_durations_turn_timings_the_right_way():
    timing = Timing(2.0, 1.0, 4.0, 5)
    rate = rated("x", "frames", 8, timing, plain=(4, Timing(4.0, 4.0, 4.0, 1)), floor=(0.5, "products"))
    assert (rate.low, rate.value, rate.high) == (2.0, 4.0, 8.0)
    assert (rate.floor, rate.plain, rate.fraction, rate.ratio) == (16.0, 1.0, 0.25, 4.0)
    part = lasting("y", timing, share=2, plain=6.0, floor=(0.25, "copying"))
    assert (part.low, part.value, part.high) == (0.5, 1.0, 2.0)
    assert (part.floor, part.fraction, part.ratio) == (0.25, 0.25, 6.0)


def test_long_calls_are_made_less_often():
    budget = Budget(seconds=1.0, least=5, warm_up=2)
    assert patient(budget, 0.01) == budget
    assert (patient(budget, 0.5).least, patient(budget, 0.5).warm_up) == (3, 1)
    assert patient(budget, 2.0) == Budget(0.0, least=1, warm_up=0)


def test_frames_are_noise():
    shown = learning.synthetic_frames(4)
    assert shown.shape == (4, 64, 64, 3)
    assert shown.dtype == np.uint8
    assert 60 < shown.std() < 90
