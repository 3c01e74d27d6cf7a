"""A release at work: it is never written to itself, so what would write works in a copy."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch

from worldmodels.errors import UserError
from worldmodels.pipeline.ending import draw
from worldmodels.pipeline.work import open_run
from worldmodels.report.page import MEDIA, write_report
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.lock import locked


def at_work(run: RunFolder, folder: Path | None = None) -> RunFolder:
    """The run itself, or of a release its copy in `folder`, which is made where there is none yet.

    Args:
        folder: None is runs/pretrained-NAME.
    Raises:
        UserError: when `folder` is something else, the copy of another release, or given for what is no release.
    """
    if not run.is_released or run.is_copy:
        if folder is not None:
            raise UserError(f"--run is where a release is copied to, and {run.path} is none: leave it out")
        return run
    copy = RunFolder(folder or Path("runs") / f"pretrained-{run.path.name}")
    # The moments at which dreams begin name the M they were made by, and that one its V.
    release = {"release": run.path.name, "made_from": load_checkpoint(run.starts, kind="starts").made_from}
    if copy.copied.exists():
        if read_json(copy.copied) != release:
            raise UserError(f"{copy.path} is a copy of another release; delete it, or choose another --run")
        return copy
    if copy.path.exists():
        raise UserError(f"{copy.path} exists and is not a copy of {run.path.name}; choose another --run")
    making = copy.path.with_name(f"{copy.path.name}.tmp")
    with locked(making):  # against another that makes the same copy
        whole = RunFolder(making / "whole")
        shutil.rmtree(whole.path, ignore_errors=True)  # left behind by one that was stopped
        try:
            shutil.copytree(run.path, whole.path)
            write_json(whole.copied, release)
            whole.path.replace(copy.path)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    print(f"a copy of {run.path.name} is in {copy.path}", file=sys.stderr, flush=True)
    return copy


def report_at_work(run: RunFolder, device: str) -> Path:
    """Write the report of a release's copy. Where its pictures are missing, games are played to draw them from."""
    with locked(run.path):
        if not all(run.media(name).exists() for name in MEDIA):  # none, or a drawing was killed
            work = open_run(run, device)
            print("playing and drawing ...", file=sys.stderr, flush=True)
            with torch.no_grad():
                draw(work, work.best())
        return write_report(run)
