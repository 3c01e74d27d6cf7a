"""What a game is: its names, its fields and the frames that V sees."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from worldmodels.envs.game import GameSpec, game, games
from worldmodels.errors import UserError


@pytest.mark.parametrize("name", ["car-racing", "take-cover", "toy"])
def test_a_game_is_found_by_its_name(name: str):
    assert game(name).name == name
    assert set(games()) >= {name}


@pytest.mark.parametrize("typed", ["carracing", "CarRacing-v3", "car_racing", "cra-racing"])
def test_a_mistyped_name_is_answered_with_the_right_one(typed: str):
    with pytest.raises(UserError, match=r"no game called .*Did you mean car-racing\?"):
        game(typed)


def test_a_name_that_resembles_nothing_is_answered_with_the_list():
    with pytest.raises(UserError, match="the games are car-racing, take-cover, toy") as raised:
        game("xyzzy")
    assert "Did you mean" not in str(raised.value)


def test_car_racing_has_the_actions_of_the_paper():
    spec = game("car-racing")
    assert spec.action_size == 3
    assert spec.action_low.tolist() == [-1, 0, 0]  # steering, gas, brake
    assert spec.action_high.tolist() == [1, 1, 1]
    assert spec.mirror_signs == (-1, 1, 1)
    assert (spec.max_steps, spec.frame_rows) == (1000, 84)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"action_kinds": ("round",)}, "round"),
        ({"action_kinds": ()}, "action_kinds"),
        ({"frame_rows": 97}, r"1\.\.96, got 97"),
        ({"frame_shape": (96, 96, 1)}, "3 channels"),
        ({"max_steps": 0}, "max_steps"),
        ({"mirror_signs": (1.0,)}, "one factor per action"),
        ({"thirds": (0, 1, 2)}, "thirds are of one symmetric action"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        replace(game("car-racing"), **wrong)


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(1)), elements=st.floats(-1, 1, width=32))
)
def test_take_covers_action_is_cut_into_thirds(actions: np.ndarray):
    left, stay, right = 2, 0, 1  # of VizdoomTakeCover-v1
    taken = game("take-cover").game_actions(actions)
    assert taken.dtype == np.int64
    assert taken.tolist() == [left if x < -1 / 3 else right if x > 1 / 3 else stay for x in actions[:, 0]]


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(1)), elements=st.floats(-1, 1, width=32))
)
def test_the_mirrored_action_steps_to_the_other_side(actions: np.ndarray):
    spec, other_side = game("take-cover"), {2: 1, 0: 0, 1: 2}
    assert spec.mirror_signs == (-1,)
    mirrored = spec.game_actions(actions * np.float32(-1))
    assert mirrored.tolist() == [other_side[int(taken)] for taken in spec.game_actions(actions)]


def test_an_action_of_numbers_is_the_games_own():
    actions = np.array([[-1, 0, 0.5], [0.25, 1, 0]], np.float64)
    taken = game("car-racing").game_actions(actions)
    assert taken.dtype == np.float32
    np.testing.assert_array_equal(taken, actions)


@pytest.mark.parametrize("shape", [(96, 96, 3), (240, 320, 3), (50, 40, 3)])
def test_observe_is_pillows_bilinear_resize_of_the_kept_rows(shape: tuple[int, int, int]):
    rows = shape[0] * 7 // 8
    spec = GameSpec("any", None, ("unit",), shape, rows, max_steps=1)
    raw = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    before = raw.copy()
    observed = spec.observe(raw)
    assert observed.shape == (3, 64, 64, 3)
    assert observed.dtype == np.uint8
    for frame, seen in zip(raw, observed, strict=True):
        pillow = np.asarray(Image.fromarray(frame[:rows]).resize((64, 64), Image.Resampling.BILINEAR))
        assert np.abs(seen.astype(int) - pillow).max() <= 1
    np.testing.assert_array_equal(raw, before)


def test_observe_gives_frames_that_may_be_written_to_and_share_nothing():
    raw = np.zeros((2, 64, 64, 3), np.uint8)
    observed = game("toy").observe(raw)
    observed += 1
    assert raw.max() == 0


def test_observe_takes_no_frames_at_all():
    assert game("car-racing").observe(np.zeros((0, 96, 96, 3), np.uint8)).shape == (0, 64, 64, 3)


@pytest.mark.parametrize(
    "raw", [np.zeros((96, 96, 3), np.uint8), np.zeros((1, 96, 96, 3)), np.zeros((1, 64, 64, 3), np.uint8)]
)
def test_observe_refuses_what_is_not_a_batch_of_the_games_frames(raw: np.ndarray):
    with pytest.raises(ValueError, match=r"car-racing must be \(N, 96, 96, 3\) uint8, got"):
        game("car-racing").observe(raw)
