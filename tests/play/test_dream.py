"""One dream by steps: the ticks of DreamWorld, with pictures in between, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.play import dream as module
from worldmodels.play.actions import mean_action
from worldmodels.play.dream import Dream
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig

actions = st.integers(-100, 100).map(lambda number: (number,))
temperatures = st.integers(10, 200)


def same(one, other) -> bool:
    """Whether two states are equal, number for number."""
    tensors = zip((one.z, *one.memory), (other.z, *other.memory), strict=True)
    plain = (one.tick, one.reward, one.score, one.end, one.ended)
    return plain == (other.tick, other.reward, other.score, other.end, other.ended) and all(
        torch.equal(a, b) for a, b in tensors
    )


@pytest.mark.parametrize("repeat", [1, 4])
@pytest.mark.parametrize("temperature", [100, 37])
def test_it_is_the_dream_that_c_is_scored_in(models, repeat, temperature):
    model, seed = models(repeat), 7
    config = DreamConfig(temperature / 100, openings=model.openings)
    world = DreamWorld(model.memory, model.starts, config)
    world.reset([seed])
    dream = Dream(model, seed)
    shown = dream.shown
    assert torch.equal(shown, world.z)
    done = torch.from_numpy(np.random.default_rng(0).integers(-100, 101, 30))
    score = 0.0
    for action in done.tolist():
        step = world.step(torch.tensor([[action / 100]]))
        for _ in range(repeat):
            shown = dream.advance((action,), temperature)
        assert torch.equal(shown, world.z)
        assert torch.equal(dream.state.memory.h, world.memory.h)
        score += float(step.reward)
        assert (dream.state.reward, dream.state.score) == (float(step.reward), score)


def test_a_key_shows_at_the_very_next_step(model):
    calm, busy = Dream(model, 3), Dream(model, 3)
    for asked in ((0,), (0,), (100,)):
        before = calm.advance((0,), 100), busy.advance(asked, 100)
        assert torch.equal(*before) == (asked == (0,))


def test_pictures_lie_on_the_way_to_where_the_tick_leads(model):
    dream = Dream(model, 3)
    began = dream.state.z
    shown = [dream.advance((40,), 100) for _ in range(4)]
    for k, z in enumerate(shown):
        torch.testing.assert_close(z, torch.lerp(began, dream.state.z, (k + 1) / 4))
    assert torch.equal(shown[3], dream.state.z)
    assert (dream.step, dream.state.tick) == (4, 1)


@given(st.lists(actions, min_size=4, max_size=4), temperatures)
def test_a_tick_is_that_of_the_mean_action(model, asked, temperature):
    stepped, whole = Dream(model, 5), Dream(model, 5)
    for action in asked:
        stepped.advance(action, temperature)
    whole.replay(np.array([mean_action(asked)]), [temperature])
    assert same(stepped.state, whole.state)
    assert stepped.actions.tolist() == [list(mean_action(asked))]


@given(st.lists(st.tuples(actions, temperatures), min_size=1, max_size=40), st.data())
def test_going_back_is_never_having_gone(model, steps, data):
    """Also past snapshots, and from the middle of a tick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SNAPSHOT_EVERY", 3)
        gone, stayed = Dream(model, 11), Dream(model, 11)
        for action, temperature in steps:
            gone.advance(action, temperature)
        back = data.draw(st.integers(1, 12))
        left = max(0, gone.state.tick - back)
        gone.rewind(back)
        for action, temperature in steps[: left * 4]:
            stayed.advance(action, temperature)
        assert same(gone.state, stayed.state)
        assert gone.step == stayed.step == left * 4
        for action, temperature in steps:  # and on another way
            assert torch.equal(
                gone.advance(action[::-1], temperature), stayed.advance(action[::-1], temperature)
            )
        assert gone.actions.tolist() == stayed.actions.tolist()
        assert gone.temperatures.tolist() == stayed.temperatures.tolist()


def test_an_ended_dream_stands_still_until_it_is_taken_back(models):
    dream = Dream(models(1, ending=True), 0)
    dream.advance((-100,), 100)
    dream.advance((100,), 100)
    assert dream.state.ended
    assert dream.state.end > 0.5
    standing = dream.state
    assert torch.equal(dream.advance((-100,), 100), standing.z)
    assert dream.state is standing
    dream.rewind(1)
    assert not dream.state.ended
    dream.advance((-100,), 100)
    assert dream.state.tick == 2


def test_the_weight_that_ends_had_in_training_is_not_in_the_probability_that_is_shown(models):
    """Odds ten times as high make an end look so much likelier; it is cut off where it was."""
    plain, weighted = (Dream(models(1, ending=True, end_weight=weight), 0) for weight in (1.0, 10.0))
    for asked in (-100, -100, 100):
        for dream in (plain, weighted):
            dream.advance((asked,), 100)
        odds, tenth = (dream.state.end / (1 - dream.state.end) for dream in (plain, weighted))
        assert tenth == pytest.approx(odds / 10, rel=1e-3)
        assert plain.state.ended == weighted.state.ended == (asked > 0)


def test_the_longest_dream_is_over(models, monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 5)
    dream = Dream(models(1), 0)
    for _ in range(9):
        dream.advance((0,), 100)
    assert (dream.state.tick, dream.state.ended) == (5, True)


def test_a_long_replay_can_be_stopped(models):
    dream, asked = Dream(models(1), 0), iter([False, False, True])
    dream.replay(np.zeros((9, 1), np.int8), [100] * 9, stopping=lambda: next(asked))
    assert dream.state.tick == 2
