"""Whether C leans on its noise: what is counted, in the game itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from worldmodels.controller.linear import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.pipeline.work import open_run
from worldmodels.runs.checkpoint import save_checkpoint
from worldmodels.runs.pretrained import run_folder
from worldmodels.worlds.actual import ActualWorld

Script = Callable[[str], Any]
NAME = "pretrained:car-racing-demo"


def test_noise_around_a_brake_of_nothing_brakes(script: Script) -> None:
    """A C of zeros but for gas: the noise on its brake, half of which is cut off, costs it speed and so tiles."""
    leaning = script("leaning")
    work = open_run(run_folder(NAME), "cpu")
    parts = work.best()
    parameters = torch.zeros_like(parts.parameters)
    parameters[-2] = 3.0  # the bias of gas
    parts = replace(parts, parameters=parameters)
    with work.pool("sketch") as pool:
        world = ActualWorld(work.senses(parts), pool, 40)
        plain, brakes = leaning.drive(parts, world, range(3), torch.zeros(3))
        again, _ = leaning.drive(parts, world, range(3), torch.zeros(3))
        braked, _ = leaning.drive(parts, world, range(3), torch.tensor([0.0, 0.0, 4.0]))
    assert torch.equal(brakes, torch.zeros_like(brakes))
    np.testing.assert_array_equal(plain, again)
    assert np.all(braked != plain)


def test_another_c_is_of_this_v(script: Script, tmp_path: Path) -> None:
    leaning = script("leaning")
    work = open_run(run_folder(NAME), "cpu")
    config = ControllerConfig(features="z", feature_size=work.best().vision.config.latent_size)
    parameters = np.arange(config.parameter_count, dtype=np.float32)
    path = tmp_path / "c.safetensors"

    def saved(vision: str) -> Path:
        save_checkpoint(
            path,
            kind="controller",
            config=asdict(config),
            weights={"parameters": torch.from_numpy(parameters)},
            made_from={"vision": vision},
        )
        return path

    found = leaning.with_another(work, saved(work.vision(work.best().round)[1]))
    assert found.config == config
    assert found.parameters.tolist() == parameters.tolist()
    with pytest.raises(UserError, match="another vision"):
        leaning.with_another(work, saved("of-another"))
