"""Settings as JSON: nothing in them that JSON has no number for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from worldmodels.errors import UserError
from worldmodels.experiments import Experiment
from worldmodels.presets import preset
from worldmodels.runs.settings import from_json, to_json


def test_settings_come_back_from_json():
    for game, name in [("car-racing", "demo"), ("take-cover", "best"), ("toy", "demo")]:
        experiment = preset(game, name)
        assert from_json(Experiment, to_json(experiment)) == experiment


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_refused_by_its_name(number: float):
    toy = preset("toy", "demo")
    with pytest.raises(UserError, match=r"^evolution\.jerk_cost must be a finite number, got (nan|inf)$"):
        to_json(replace(toy, evolution=replace(toy.evolution, jerk_cost=number)))
