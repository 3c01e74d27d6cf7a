"""A run whose own C has a hidden layer: trained, scored, reported and played as any; a page's C is linear."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import worldmodels
from worldmodels.cli import main
from worldmodels.controller.linear import act
from worldmodels.envs.game import FRAME_SIZE
from worldmodels.errors import UserError
from worldmodels.evolution.controllers import load_controller
from worldmodels.experiments import RoundsConfig
from worldmodels.export.site import write_site
from worldmodels.memory.mdn_rnn import Recurrent
from worldmodels.pipeline import growing
from worldmodels.pipeline.play import play_model
from worldmodels.runs.folder import RunFolder
from worldmodels.worlds.state import features


def test_it_is_evolved_scored_reported_and_played(toy_copy, tmp_path, capsys):
    record = json.loads((toy_copy / "experiment.json").read_text())
    record["experiment"]["controller"]["hidden"] = 5
    record["experiment"]["rounds"]["count"] = 1
    (toy_copy / "experiment.json").write_text(json.dumps(record))
    run = RunFolder(toy_copy)
    for path in (run.controller(0), run.dream_score(0), run.best_controller):
        path.unlink()
    assert main(["evolve", str(toy_copy)]) == 0
    config, parameters, _ = load_controller(run.controller(0))
    assert (config.hidden, len(parameters)) == (5, 5 * 25 + 6)
    capsys.readouterr()
    assert main(["evaluate", str(toy_copy), "--episodes", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 2
    assert main(["report", str(toy_copy)]) == 0
    assert "controller.hidden" in run.report.read_text()
    agent = worldmodels.load_agent(toy_copy)
    assert agent.act(np.zeros((1, FRAME_SIZE, FRAME_SIZE, 3), np.uint8)).shape == (1, 1)
    (driver,) = play_model(run, "cpu").controllers
    z, memory = torch.randn(1, 8), Recurrent(torch.randn(1, 16), torch.randn(1, 16))
    assert (
        driver.act(z, memory) == act(config, parameters[None], features("zh", z, memory)[None])[0, 0].tolist()
    )


def test_it_comes_in_a_later_round_to_the_layer_that_was_learnt_before(
    tmp_path: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch
):
    run, told = RunFolder(tmp_path / "run"), []
    sought = growing.seek
    monkeypatch.setattr(
        growing, "seek", lambda *a, **named: told.append(named["start"]) or sought(*a, **named)
    )
    learns = ["--evolution.search", "gradient", "--gradient.dreams", "8", "--gradient.ticks", "16"]
    command = ["train", "toy", "--run", str(run.path), *tiny, *learns, "--evolution.no-afresh"]
    assert main([*command, "--rounds.hidden", "0", "5"]) == 0
    (first, layer, _), (second, both, _) = (load_controller(run.controller(r)) for r in range(2))
    assert (first.hidden, second.hidden, len(both)) == (0, 5, 5 * 25 + 6)
    assert told[0] is None
    assert told[1].tolist() == layer.tolist()
    with pytest.raises(ValueError, match=r"rounds.hidden must be 0"):
        RoundsConfig(hidden=(0, -1))


def test_a_page_refuses_it(toy_run, tmp_path):
    model = play_model(RunFolder(toy_run), "cpu")
    (driver,) = model.controllers
    hidden = replace(driver, config=replace(driver.config, hidden=5))
    with pytest.raises(
        UserError, match=r"C of round 1, .* has a hidden layer, and the C of a page is linear"
    ):
        write_site(replace(model, controllers=(hidden,)), tmp_path / "site")
    assert not (tmp_path / "site").exists()
