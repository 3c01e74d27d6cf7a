"""Run folders by path and by the name of a release."""

from __future__ import annotations

from pathlib import Path

import pytest

from worldmodels.errors import UserError
from worldmodels.runs import folder
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.pretrained import refuse_released, released_names, run_folder


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two releases, a folder that is none and a file, where the package keeps its releases."""
    for name in ("toy", "car"):
        (tmp_path / name).mkdir()
        RunFolder(tmp_path / name).starts.touch()
    (tmp_path / "nothing").mkdir()
    (tmp_path / "README.md").touch()
    monkeypatch.setattr(folder, "PRETRAINED", tmp_path)
    return tmp_path


def test_a_name_is_a_folder_of_the_package(shelf):
    assert released_names() == ["car", "toy"]
    assert run_folder("pretrained:toy") == RunFolder(shelf / "toy")


@pytest.mark.parametrize("path", ["runs/demo", "toy", "./pretrained:toy", "/x/pretrained:toy"])
def test_anything_else_is_a_path(shelf, path):
    assert run_folder(path) == run_folder(Path(path)) == RunFolder(Path(path))


@pytest.mark.parametrize("name", ["nothing", "README.md", "", ".", "..", "../toy", "toy/vision", "Toy"])
def test_an_unknown_name_gets_the_known_ones(shelf, name):
    with pytest.raises(
        UserError, match="there are no such weights; type pretrained:car or pretrained:toy, or"
    ):
        run_folder(f"pretrained:{name}")


def test_without_releases_it_says_how_to_train(monkeypatch, tmp_path):
    monkeypatch.setattr(folder, "PRETRAINED", tmp_path / "none")
    assert released_names() == []
    with pytest.raises(
        UserError, match="no weights are released yet; train your own with `worldmodels train car"
    ):
        run_folder("pretrained:car")


def test_only_releases_are_kept_from_change(shelf):
    refuse_released(RunFolder(shelf / "nothing"), "trained on")
    with pytest.raises(
        UserError, match="toy is a release, which is there to be used and not to be trained on"
    ):
        refuse_released(RunFolder(shelf / "toy"), "trained on")
