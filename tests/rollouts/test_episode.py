"""What an episode is, and what it is not."""

from dataclasses import MISSING, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.rollouts.episode import Episode


def parts(length: int = 3, **changes: Any) -> dict[str, Any]:
    return {
        "frames": np.zeros((length + 1, 64, 64, 3), np.uint8),
        "actions": np.zeros((length, 2), np.float32),
        "rewards": np.full(length, 0.5, np.float32),
        "terminated": False,
        "policy": "someone",
        "seed": 1,
        "action_repeat": 2,
        "game_steps": 2 * length,
    } | changes


def test_length_and_score():
    episode = Episode(**parts(4))
    assert episode.length == 4
    assert episode.score == 2.0


def test_a_score_is_summed_in_double_precision():
    rewards = np.full(1000, -0.1, np.float32)
    assert Episode(**parts(1000, rewards=rewards)).score == pytest.approx(-100, abs=1e-4)


def test_every_field_is_needed():
    needed = [field for field in fields(Episode) if field.default is MISSING]
    assert {field.name for field in needed} == parts().keys()
    for field in needed:
        some = parts()
        del some[field.name]
        with pytest.raises(TypeError, match=field.name):
            Episode(**some)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"frames": np.zeros((3, 64, 64, 3), np.uint8)},
            r"frames must be \(4, 64, 64, 3\) uint8, got \(3, 64",
        ),
        ({"frames": np.zeros((4, 64, 64, 3), np.float32)}, "frames .* got .* float32"),
        ({"frames": np.zeros((4, 96, 96, 3), np.uint8)}, r"got \(4, 96, 96, 3\)"),
        ({"actions": np.zeros((4, 2), np.float32)}, r"actions must be \(3, 2\) float32, got \(4, 2\)"),
        ({"actions": np.zeros((3, 2))}, "got .* float64"),
        ({"actions": np.zeros((3, 0), np.float32)}, r"actions must be \(T, A\)"),
        ({"actions": np.zeros(3, np.float32)}, r"actions must be \(T, A\)"),
        ({"actions": np.full((3, 2), np.nan, np.float32)}, "actions must be finite"),
        ({"rewards": np.full(3, np.inf, np.float32)}, "rewards must be finite"),
        ({"dropped_steps": -1}, "dropped_steps must not be negative, got -1"),
        ({"rewards": np.zeros((3, 1), np.float32)}, r"rewards must be \(3,\)"),
        ({"action_repeat": 0}, "action_repeat must be at least 1, got 0"),
        ({"game_steps": 7}, r"game_steps must lie in 5\.\.6 .* got 7"),
        ({"game_steps": 4}, r"game_steps must lie in 5\.\.6 .* got 4"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        Episode(**parts(3, **changes))


def test_an_episode_without_an_action_is_refused():
    with pytest.raises(ValueError, match="at least one action"):
        Episode(**parts(0))


@given(length=st.integers(1, 6), repeat=st.integers(1, 5), data=st.data())
def test_the_last_action_may_be_cut_short(length: int, repeat: int, data: st.DataObject):
    last = data.draw(st.integers(1, repeat))
    steps = (length - 1) * repeat + last
    assert Episode(**parts(length, action_repeat=repeat, game_steps=steps)).game_steps == steps
