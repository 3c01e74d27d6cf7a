"""What the charts show, where that takes more than drawing."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from worldmodels.report.canvas import chart
from worldmodels.report.data import Round, Scores
from worldmodels.report.figures import dream_against_actual, histogram, score_ladder
from worldmodels.report.learning_figures import evolution_curve, fitness_scale, loss_curve
from worldmodels.report.logs import Curves

PLAYED = Round(0, Scores(40.0), 200.0, Scores(90.0, 5.0), None, None, None)
TWO_ROUNDS = Curves(np.arange(5.0), {"best": np.arange(5.0)}, {0: 3.0, 1: 5.0})


def test_fitness_is_scaled_to_a_whole_episode_round_by_round():
    settings = {"action_repeat": 4, "rounds": {"horizons": [50, 125]}}
    scale, unit = fitness_scale(TWO_ROUNDS, settings, 1000)
    assert scale.tolist() == [5, 5, 5, 2, 2]
    assert unit == "points in 1,000 steps of the game"
    scale, _ = fitness_scale(TWO_ROUNDS, {"action_repeat": 4, "rounds": {"horizons": [50]}}, 1000)
    assert scale.tolist() == [5] * 5, "the last length holds for all further rounds"


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"action_repeat": 4, "rounds": {"horizons": [50]}}, None),
        ({"action_repeat": 4, "rounds": 3}, 1000),
        ({"rounds": {"horizons": [50]}}, 1000),
        ({"action_repeat": 4, "rounds": {"horizons": [0]}}, 1000),
    ],
)
def test_fitness_stays_as_it_is_where_lengths_are_unknown(settings, steps):
    scale, unit = fitness_scale(TWO_ROUNDS, settings, steps)
    assert (scale.tolist(), unit) == ([1] * 5, "points")


def test_dream_scores_are_shown_for_as_many_steps_as_an_episode_has():
    drawn = dream_against_actual([PLAYED], 500)
    assert drawn is not None
    assert "round 0: dream 100, actual 90 ± 5" in drawn
    assert "dream = actual" in drawn
    drawn = dream_against_actual([PLAYED], None)
    assert drawn is not None
    assert "round 0: dream 40, actual 90 ± 5" in drawn
    assert "dream = actual" not in drawn


def test_what_other_ms_promised_stands_beside_it():
    played = replace(PLAYED, others=(160.0, 120.0))
    drawn = dream_against_actual([played], 500)
    assert drawn is not None
    assert "dreams 80, 60" in drawn
    assert "another M" in drawn
    alone = dream_against_actual([played], None)
    assert alone is not None
    assert "another M" not in alone, "dreams of unknown length are not compared"


def test_nothing_to_draw_is_no_chart():
    nothing = Curves(np.arange(3.0), {"nll": np.full(3, np.nan)}, {0: 3.0})
    assert loss_curve(None, "nll", "") is None
    assert loss_curve(nothing, "nll", "") is None
    assert loss_curve(nothing, "kl", "") is None
    assert evolution_curve(nothing, [], np.ones(3), "points") is None
    assert histogram(Scores(1.0), None) is None
    assert dream_against_actual([Round(0, None, None, None, None, None, None)], 1000) is None
    assert score_ladder([]) is None


def test_text_in_a_chart_is_text_of_the_page_and_never_markup():
    drawn = chart("test", 'alt "<b>"', lambda axes: axes.set_title("<i>$\\frac{1}{2}$</i> & τ") and None)
    assert "&lt;i&gt;$\\frac{1}{2}$&lt;/i&gt; &amp; τ</text>" in drawn
    assert 'aria-label="alt &quot;&lt;b&gt;&quot;"' in drawn
    assert not re.search(r"<i>|<b>|https?:", drawn)
