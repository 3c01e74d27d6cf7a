"""More Cs of a run by other settings, and another M to seek them in: what is made, kept and refused."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from worldmodels.errors import UserError
from worldmodels.evolution.controllers import load_controller
from worldmodels.memory.train import load_memory
from worldmodels.presets import preset
from worldmodels.runs.folder import RunFolder

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
    "setting",
    [
        "memory.dropout=0.1",
        "dream.warmth=2",
        "gradient.noise",
        "dream.temperature=2",
        "controller.features=z",
    ],
)
def test_what_no_search_knows_is_refused(script: Script, setting: str):
    with pytest.raises(
        UserError, match=rf"{setting} is no setting of dream, controller, evolution, gradient"
    ):
        script("searches").with_settings(preset("toy", "demo"), [setting])


def test_settings_are_numbers_words_and_nothing_else_changes(script: Script):
    experiment = preset("car-racing", "dream")
    changed = script("searches").with_settings(
        experiment, ["dream.temperature_spread=0.3", "dream.ends=drawn"]
    )
    assert changed == replace(
        experiment, dream=replace(experiment.dream, temperature_spread=0.3, ends="drawn")
    )


def test_a_c_may_have_a_hidden_layer_and_be_sought_by_gradient(search: Callable[..., str], tmp_path: Path):
    settings = ("controller.hidden=3", "evolution.search=gradient", "gradient.dreams=8", "gradient.ticks=5")
    printed = search("deep", *settings, "--streams", "1", "2")
    config = load_controller(tmp_path / "run" / "searches" / "deep" / "stream-1.safetensors")[0]
    assert config.hidden == 3
    assert "mean" not in printed  # of weights, which a hidden layer does not bear


def test_the_search_that_is_asked_for_goes_before_that_of_the_rounds(script: Script):
    changed = script("searches").with_settings(preset("car-racing", "dream"), ["evolution.search=auto"])
    assert {changed.search(round) for round in range(11)} == {"auto"}


@pytest.fixture
def another(
    script: Script, toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RunFolder]:
    """another(SETTING, ...): the run in which another M was trained on the toy's games, which is tmp_path/another."""

    def made(*arguments: str) -> RunFolder:
        words = [str(toy_run), str(tmp_path / "another"), *arguments, "--steps", "9"]
        monkeypatch.setattr("sys.argv", ["another_memory.py", *words])
        script("another_memory").main()
        return RunFolder(tmp_path / "another")

    return made


def test_another_memory_grows_on_the_same_games_and_cs_are_sought_in_its_dreams(
    another: Callable[..., RunFolder],
    script: Script,
    toy_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    before = load_memory(RunFolder(toy_run), 1)[1]
    run = another("mdn_rnn.hidden_size=16")
    model, sha256 = load_memory(run, 1)
    assert model.config.hidden_size == 16
    for path in RunFolder(toy_run).latents(1).glob("*.npz"):
        assert (run.latents(1) / path.name).samefile(path), "no second copy of the games"
    assert load_memory(RunFolder(toy_run), 1)[1] == before
    printed = capsys.readouterr().out
    assert printed == f"python benchmarks/searches.py {run.path} NAME --round 1\n"
    words = [str(run.path), "wide", "--round", "1", "--streams", "1"]
    monkeypatch.setattr("sys.argv", ["searches.py", *words, *SHORT])
    script("searches").main()
    found = run.path / "searches" / "wide" / "stream-1.safetensors"
    assert load_controller(found, {"memory": sha256})[0].feature_size == 8 + 16
    assert load_memory(another("mdn_rnn.hidden_size=16"), 1)[1] == sha256, "it was there"


def test_another_memory_of_other_settings_is_not_gone_on_with(another: Callable[..., RunFolder]):
    another()
    with pytest.raises(UserError, match="was made by other settings: choose another OUT"):
        another("memory.dropout=0.1")


def test_another_memory_takes_nobodys_folder(another: Callable[..., RunFolder], tmp_path: Path):
    (tmp_path / "another" / "rollouts").mkdir(parents=True)
    with pytest.raises(UserError, match="another exists and is no run: choose another OUT"):
        another()
    assert (tmp_path / "another" / "rollouts").exists()


def test_another_memory_is_not_made_where_nothing_can_be_linked(
    another: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def elsewhere(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("os.link", elsewhere)
    with pytest.raises(UserError, match="choose an OUT on the disk of"):
        another()
    assert not list(tmp_path.glob("another*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["vae.latent_size=16"], "is no setting of memory, mdn_rnn, dream, controller, evolution, gradient"),
        (["--round", "2"], r"--round must lie in 0..1, got 2"),
    ],
)
def test_what_another_memory_cannot_be_is_refused(
    another: Callable[..., RunFolder], arguments: list[str], sentence: str
):
    with pytest.raises(UserError, match=sentence):
        another(*arguments)
