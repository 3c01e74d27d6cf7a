"""RUN as people type it: a run folder, or the name of a released one that comes with the package."""

from __future__ import annotations

from pathlib import Path

from worldmodels.errors import UserError
from worldmodels.runs import folder
from worldmodels.runs.folder import RunFolder

PREFIX = "pretrained:"


def run_folder(name: str | Path) -> RunFolder:
    """ "pretrained:NAME" as the folder of that release; any other text, and every Path, is the path of a run folder.

    Raises UserError for a name that was not released, with those that were.
    """
    if isinstance(name, Path) or not name.startswith(PREFIX):
        return RunFolder(Path(name))
    released = released_names()
    wanted = name.removeprefix(PREFIX)
    if wanted in released:
        return RunFolder(folder.PRETRAINED / wanted)
    if not released:
        raise UserError(
            f"{name}: no weights are released yet; train your own with `worldmodels train car-racing --preset demo`"
        )
    choices = " or ".join(PREFIX + other for other in released)
    raise UserError(f"{name}: there are no such weights; type {choices}, or the path of a run folder")


def released_names() -> list[str]:
    """Names of the releases that come with the package."""
    if not folder.PRETRAINED.is_dir():
        return []
    return sorted(path.name for path in folder.PRETRAINED.iterdir() if RunFolder(path).is_released)


def refuse_released(run: RunFolder, what: str, unless_copy: bool = False) -> None:
    """UserError when `run` is a release: those are used and never written to. `what` was to be done with it.

    `unless_copy` lets copies through: nothing in them is changed, and more is written beside it.
    """
    if run.is_released and not (unless_copy and run.is_copy):
        raise UserError(
            f"{run.path} is a release, which is there to be used and not to be {what}; begin a run of your own with "
            "`worldmodels train car-racing --run runs/demo`"
        )
