"""What a benchmark says to wrong input and to Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worldmodels.errors import UserError


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (UserError("no such run"), 2, "worldmodels: no such run"),
        (FileNotFoundError(2, "gone", "runs/x"), 2, "worldmodels: runs/x not found"),
        (json.JSONDecodeError("torn", "{", 1), 2, "worldmodels: a file of the run is no JSON"),
        (KeyboardInterrupt(), 130, "worldmodels: stopped"),
    ],
)
def test_it_ends_in_a_sentence(
    script: Callable[[str], Any],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    sentence: str,
) -> None:
    with pytest.raises(SystemExit) as left:
        script("sentences").in_a_sentence(raising(error))
    assert left.value.code == code
    assert capsys.readouterr().err.startswith(sentence)


def test_held_actions_are_refused_where_tics_are_counted(
    script: Callable[[str], Any], tmp_path: Path
) -> None:
    tics = script("tics")
    assert tics.run_of_tics("pretrained:take-cover").spec.name == "take-cover"
    with pytest.raises(UserError, match="plays toy"):
        tics.run_of_tics(str(held(tmp_path, "toy", 1)))
    with pytest.raises(UserError, match="holds actions for 2 tics"):
        tics.run_of_tics(str(held(tmp_path, "take-cover", 2)))


def held(folder: Path, game: str, repeat: int) -> Path:
    """A run that was only begun."""
    run = folder / f"{game}-{repeat}"
    run.mkdir()
    settings = {"experiment": {"game": game, "action_repeat": repeat}}
    (run / "experiment.json").write_text(json.dumps(settings))
    return run


def test_all_seeds_are_played_and_not_too_many_at_once(script: Callable[[str], Any]) -> None:
    tics = script("tics")
    parts = tics.batches(range(5, 75))
    assert [seed for part in parts for seed in part] == list(range(5, 75))
    assert max(map(len, parts)) == tics.AT_ONCE
