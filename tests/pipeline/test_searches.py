"""More Cs of a run by other settings: what is sought, kept and refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from worldmodels.errors import UserError
from worldmodels.evolution.controllers import load_controller
from worldmodels.presets import preset

Script = Callable[[str], Any]
SHORT = ("--generations", "2", "--episodes", "3")


@pytest.fixture
def search(
    script: Script, toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Callable[..., str]:
    """search(NAME, ...): what the script prints of a copy of the toy's run, which is tmp_path/run."""
    shutil.copytree(toy_run, tmp_path / "run")

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["searches.py", str(tmp_path / "run"), *arguments, *SHORT])
        script("searches").main()
        return capsys.readouterr().out

    return run


def test_cs_of_several_streams_and_their_mean_are_scored_and_kept(search: Callable[..., str], tmp_path: Path):
    printed = search("plain", "--streams", "1", "2")
    folder = tmp_path / "run" / "searches" / "plain"
    one, two, mean = (
        load_controller(folder / f"{name}.safetensors")[1] for name in ("stream-1", "stream-2", "mean-1-2")
    )
    assert not torch.equal(one, two)
    torch.testing.assert_close(mean, (one + two) / 2)
    assert [row.split("dream")[0].strip() for row in printed.splitlines()[1:]] == [
        "stream 1",
        "stream 2",
        "mean of 2",
    ]
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("[!.]*")}
    assert len(kept) == 3 + 3 + 1
    assert search("plain", "--streams", "1", "2") == printed
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_setting_changes_the_search_and_its_name_cannot_be_taken_twice(
    search: Callable[..., str], tmp_path: Path
):
    search("plain", "--streams", "1")
    search("jerky", "evolution.sigma=0.7", "--streams", "1")
    found = [
        load_controller(tmp_path / "run" / "searches" / name / "stream-1.safetensors")[1]
        for name in ("plain", "jerky")
    ]
    assert not torch.equal(*found)
    with pytest.raises(UserError, match="plain has the Cs of other settings"):
        search("plain", "evolution.sigma=0.7", "--streams", "1")


@pytest.mark.parametrize(
    "setting", ["memory.dropout=0.1", "dream.warmth=2", "gradient.noise", "dream.temperature=2"]
)
def test_what_no_search_knows_is_refused(script: Script, setting: str):
    with pytest.raises(UserError, match=rf"{setting} is no setting of a search"):
        script("searches").with_settings(preset("toy", "demo"), [setting])


def test_settings_are_numbers_words_and_nothing_else_changes(script: Script):
    experiment = preset("car-racing", "dream")
    changed = script("searches").with_settings(
        experiment, ["dream.temperature_spread=0.3", "dream.ends=drawn"]
    )
    assert changed == replace(
        experiment, dream=replace(experiment.dream, temperature_spread=0.3, ends="drawn")
    )
