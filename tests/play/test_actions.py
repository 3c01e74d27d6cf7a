"""Actions in whole hundredths."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.envs.game import game
from worldmodels.play.actions import ActionRange, hundredths, mean_action, units


def test_a_half_goes_up():
    assert [hundredths(x) for x in (0.004, 0.005, -0.005, -0.006, 1.0, -1.0)] == [0, 1, 0, -1, 100, -100]
    assert mean_action([(0,), (1,)]) == (1,)
    assert mean_action([(0,), (-1,)]) == (0,)


@given(st.lists(st.lists(st.integers(-100, 100), min_size=3, max_size=3).map(tuple), min_size=1, max_size=9))
def test_the_mean_is_the_nearest_hundredth(actions):
    mean = np.array(actions).mean(axis=0)
    assert mean_action(actions) == tuple(np.floor(mean + 0.5 + 1e-9).astype(int))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
def test_whatever_is_asked_for_lies_in_the_game_s_range(values):
    spec = game("car-racing")
    allowed = ActionRange(spec)
    action = allowed.nearest(values)
    assert allowed.contains(action)
    assert np.all(units(action) >= spec.action_low)
    assert np.all(units(action) <= spec.action_high)


def test_rest_is_no_action():
    assert ActionRange(game("car-racing")).rest == (0, 0, 0)
