"""Evolving and loading C: with a hidden layer, and from files that were written before there was one."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, act
from worldmodels.evolution import evolve as evolving
from worldmodels.evolution.controllers import load_controller
from worldmodels.evolution.evolve import EvolutionConfig, evolve, search_on
from worldmodels.evolution.fitness import returns
from worldmodels.runs.checkpoint import load_checkpoint, save_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.worlds.state import Step

LINEAR = ControllerConfig(feature_size=2, action_kinds=("symmetric",))
HIDDEN = replace(LINEAR, hidden=6)
SEARCH = EvolutionConfig(generations=60, population=16, repeats=1, sigma=0.1)
CORNERS = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])


class ExclusiveOr:
    """Four ticks at the corners of a square: it pays for the sign of x * y, which no linear C has."""

    feature_size, horizon, at_once, game_steps = 2, 4, 1000, 0
    device = torch.device("cpu")

    def reset(self, seeds: Any) -> Tensor:
        self._tick = 0
        return CORNERS[0].expand(len(seeds), 2)

    def step(self, actions: Tensor) -> Step:
        wanted = CORNERS[self._tick].prod()
        self._tick = (self._tick + 1) % 4
        ended = torch.zeros(len(actions), dtype=torch.bool)
        return Step(CORNERS[self._tick].expand(len(actions), 2), wanted * actions[:, 0], ended, ended)

    def keep(self, rows: Tensor) -> None:
        raise AssertionError("nothing ends before the last tick")


def evolved(folder: Path, config: ControllerConfig, search: EvolutionConfig = SEARCH) -> RunFolder:
    run = RunFolder(folder)
    evolve(
        run,
        config,
        search,
        [ExclusiveOr()],
        path=run.controller(0),
        log_name="evolve-00",
        round=0,
        seed=1,
        made_from={},
        save_every=0.0,
    )
    return run


def earned(run: RunFolder) -> float:
    config, parameters, _ = load_controller(run.controller(0))
    return float((act(config, parameters[None], CORNERS[None])[0, :, 0] * CORNERS.prod(dim=1)).sum())


def test_a_hidden_layer_leaves_zero_and_learns_what_no_linear_c_can(tmp_path):
    assert earned(evolved(tmp_path / "hidden", HIDDEN)) > 3
    assert earned(evolved(tmp_path / "linear", LINEAR)) < 2.01, "three corners of the four"


def test_a_c_from_before_there_were_hidden_layers_is_linear(tmp_path):
    path, config = tmp_path / "c.safetensors", asdict(LINEAR)
    del config["hidden"]
    save_checkpoint(path, kind="controller", config=config, weights={"parameters": torch.zeros(3)})
    assert load_controller(path)[0] == LINEAR


def stopped_in(
    patch: pytest.MonkeyPatch,
    folder: Path,
    config: ControllerConfig,
    generation: int,
    search: EvolutionConfig = replace(SEARCH, generations=6),  # noqa: B008 - frozen
) -> None:
    """Evolve, for 6 generations, with Ctrl-C in that one of those that are played now."""
    play, calls = evolving.returns, []

    def stopped(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == generation:
            raise KeyboardInterrupt
        return play(*arguments)

    with patch.context() as patched:
        patched.setattr(evolving, "returns", stopped)
        with pytest.raises(KeyboardInterrupt):
            evolved(folder, config, search)


@pytest.mark.parametrize(("config", "kept"), [(LINEAR, 4), (HIDDEN, 0)])
def test_an_unfinished_evolution_from_before_goes_on_where_c_is_linear(tmp_path, monkeypatch, config, kept):
    stopped_in(monkeypatch, tmp_path, LINEAR, 5)
    resume = RunFolder(tmp_path).resume(RunFolder(tmp_path).controller(0))
    there = load_checkpoint(resume, kind="controller-evolution")
    del there.config["model"]["hidden"]
    for later in ("worst", "patience", "search"):
        del there.config["evolution"][later]
    there.config["evolution"]["generations"] = 6  # once a search depended on it
    save_checkpoint(resume, kind=there.kind, config=there.config, weights=there.weights)
    stopped_in(monkeypatch, tmp_path, config, 6 - kept)
    told = load_checkpoint(resume, kind="controller-evolution").weights["told"].numpy()
    assert len(told) == 5, "so many generations are there now, and these are new"
    assert bool(kept) == np.array_equal(told[:4], there.weights["told"].numpy())


def test_c_may_be_the_mean_of_the_last_means(tmp_path, monkeypatch):
    def parameters(folder: Path) -> np.ndarray:
        return load_controller(RunFolder(folder).controller(0))[1].numpy()

    means = []
    for generations in (4, 5, 6):
        evolved(tmp_path / str(generations), LINEAR, replace(SEARCH, generations=generations))
        means.append(parameters(tmp_path / str(generations)))
    search = replace(SEARCH, generations=6, averaged=3)
    evolved(tmp_path / "averaged", LINEAR, search)
    np.testing.assert_allclose(parameters(tmp_path / "averaged"), np.mean(means, axis=0), rtol=1e-6)
    # Begun without it, stopped, and gone on with it: the search is the same.
    stopped_in(monkeypatch, tmp_path / "stopped", LINEAR, 5)
    evolved(tmp_path / "stopped", LINEAR, search)
    np.testing.assert_array_equal(parameters(tmp_path / "stopped"), parameters(tmp_path / "averaged"))
    with pytest.raises(ValueError, match=r"evolution\.averaged"):
        EvolutionConfig(averaged=0)


def test_a_search_on_the_device_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    """To the same C as the uninterrupted one, bit for bit, and to another than the package's."""
    search = replace(SEARCH, generations=6, search="device")
    whole, cut, theirs = (tmp_path / name for name in ("whole", "cut", "theirs"))
    stopped_in(monkeypatch, cut, LINEAR, 4, search)
    resume = RunFolder(cut).resume(RunFolder(cut).controller(0))
    kept = load_checkpoint(resume, kind="controller-evolution")
    assert kept.config["evolution"]["search"] == "device cpu"
    assert len(kept.weights["told"]) == 3
    asked = []
    monkeypatch.setattr(evolving, "returns", lambda *arguments: asked.append(1) or returns(*arguments))
    ends = [
        load_controller(evolved(folder, LINEAR, kind).controller(0))[1]
        for folder, kind in ((cut, search), (whole, search), (theirs, replace(search, search="cma")))
    ]
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert len(asked) == 3 + 6 + 6


def test_who_searches_follows_from_where_the_world_is():
    names = {
        (device, wanted): search_on(torch.device(device), wanted)
        for device in ("cpu", "cuda:0")
        for wanted in ("auto", "cma", "device", "gradient")
    }
    assert names == {
        ("cpu", "auto"): "cma", ("cpu", "cma"): "cma", ("cpu", "device"): "device cpu",
        ("cuda:0", "auto"): "device cuda", ("cuda:0", "cma"): "cma", ("cuda:0", "device"): "device cuda",
        ("cpu", "gradient"): "cma", ("cuda:0", "gradient"): "device cuda",  # where nothing can be learnt by it
    }  # fmt: skip
    with pytest.raises(
        ValueError, match=r"evolution\.search must be auto, cma, device or gradient, got 'gpu'"
    ):
        EvolutionConfig(search="gpu")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("first", "then", "kept"), [("auto", "cma", 4), ("device", "device", 4), ("cma", "device", 0),
                                                     ("device", "auto", 0)])  # fmt: skip
def test_another_search_begins_anew(tmp_path, monkeypatch, first, then, kept):
    played = []
    monkeypatch.setattr(evolving, "returns", lambda *arguments: played.append(1) or returns(*arguments))
    search = replace(SEARCH, generations=6)
    stopped_in(monkeypatch, tmp_path, LINEAR, 5, replace(search, search=first))
    played.clear()
    evolved(tmp_path, LINEAR, replace(search, search=then))
    assert len(played) == 6 - kept


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_c_is_evolved_on_a_gpu(tmp_path, monkeypatch):
    class OnGpu(ExclusiveOr):
        device = torch.device("cuda")

        def reset(self, seeds: Any) -> Tensor:
            return super().reset(seeds).cuda()

        def step(self, actions: Tensor) -> Step:
            assert actions.is_cuda
            return Step(*(part.cuda() for part in super().step(actions.cpu())[:4]))

    monkeypatch.setattr(f"{__name__}.ExclusiveOr", OnGpu)
    stopped_in(monkeypatch, tmp_path / "cut", HIDDEN, 4, SEARCH)
    ends = [evolved(tmp_path / name, HIDDEN) for name in ("cut", "whole")]
    assert earned(ends[1]) > 3
    assert torch.equal(*(load_controller(end.controller(0))[1] for end in ends))


@pytest.mark.parametrize("generations", [2, 4, 9])
def test_a_stopped_evolution_may_be_given_fewer_or_more_generations(tmp_path, monkeypatch, generations):
    search = replace(SEARCH, generations=generations)
    stopped_in(monkeypatch, tmp_path / "stopped", LINEAR, 5)
    ends = [
        load_controller(evolved(tmp_path / name, LINEAR, search).controller(0))[1]
        for name in ("stopped", "undisturbed")
    ]
    assert torch.equal(*ends)
