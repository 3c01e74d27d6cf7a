"""Make a release of a run: V and M in half precision, and just what dreams and scores need, in a folder of its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import FORESIGHT
from worldmodels.memory.train import load_memory
from worldmodels.pipeline.model_card import model_card
from worldmodels.pipeline.released import as_tiles
from worldmodels.pipeline.work import Parts, Work
from worldmodels.report.pictures import write_png
from worldmodels.runs.checkpoint import load_checkpoint, save_checkpoint
from worldmodels.runs.files import read_json, write_atomically, write_json
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.pretrained import refuse_released
from worldmodels.runs.seeds import numpy_stream
from worldmodels.worlds.starts import gather_starts

STARTS = 256  # openings, and as many later moments
EXAMPLE_ROWS, EXAMPLE_COLUMNS = 4, 6
LARGEST = 16_000_000  # bytes of a file: what may be kept in a repository


def release(work: Work, name: str, out: Path) -> Path:
    """Write the release of a finished run's chosen round to out/name, all or nothing, and return that folder.

    It is laid out as a run folder and used as one. Raises UserError for a name that is none, a run that is not
    finished, or a folder that is there already.
    """
    refuse_released(work.run, "released again")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UserError(
            f"--name may have small letters, digits and hyphens, as in car-racing-demo, got {name!r}"
        )
    if not (work.run.best_controller.exists() and work.run.evaluation("actual").exists()):
        raise UserError(
            f"{work.run.path} is not finished; first run "
            f"`worldmodels train {work.experiment.game} --run {work.run.path}`"
        )
    if (out / name).exists():
        raise UserError(f"{out / name} exists; delete it, or choose another --name")
    made = RunFolder(out / f"{name}.tmp")
    shutil.rmtree(made.path, ignore_errors=True)  # left behind by a release that was stopped
    try:
        parts = work.best()
        made_from = _copy_parts(work, parts, made)
        _copy_records(work, parts, name, made, made_from)
        write_starts(work, parts, made, made_from)
        write_png(made.examples, as_tiles(example_frames(work, parts.round), EXAMPLE_COLUMNS))
        write_atomically(made.model_card, model_card(work.run, made, name, parts).encode())
        _refuse_large_files(made.path)
        made.path.replace(out / name)
    finally:
        shutil.rmtree(made.path, ignore_errors=True)
    return out / name


def _copy_parts(work: Work, parts: Parts, made: RunFolder) -> dict[str, str]:
    """V and M halved and every C of the round as it is, each made from the new ones; the hashes of V and M."""
    vision, memory = work.vision_round(parts.round), work.memory_round(parts.round)
    made_from: dict[str, str] = {}
    made_from["vision"] = _copy(work.run.vision(vision), made.vision(vision), "vision", {})
    made_from["memory"] = _copy(work.run.memory(memory), made.memory(memory), "memory", made_from)
    _, ours = work.memory(parts.round)
    paths = [work.run.controller(parts.round), *work.run.controllers_at(parts.round).values()]
    for path in paths:
        # A C that did not grow in this M, left behind by an earlier one, must not get into the new lineage.
        load_checkpoint(path, kind="controller", made_from={"memory": ours})
        _copy(path, made.path / "controller" / path.name, "controller", made_from)
    return made_from


def _copy(path: Path, to: Path, kind: str, made_from: dict[str, str]) -> str:
    checkpoint = load_checkpoint(path, kind=kind)
    weights, config = checkpoint.weights, checkpoint.config
    if kind == "memory":  # heads that only learning asks, half as large as M itself, stay behind
        weights = {name: weight for name, weight in weights.items() if not name.startswith(FORESIGHT)}
        config = config | {"latents_ahead": []}
    if kind != "controller":  # which has a few hundred numbers: nothing would be saved
        weights = {name: halved(tensor) for name, tensor in weights.items()}
    return save_checkpoint(
        to,
        kind=kind,
        config=config,
        weights=weights,
        progress=checkpoint.progress,
        made_from=dict(made_from),
    )


def halved(tensor: Tensor) -> Tensor:
    """Numbers in half precision; other tensors as they are. Loading into a network makes them single again."""
    return tensor.half() if tensor.is_floating_point() else tensor


def _copy_records(work: Work, parts: Parts, name: str, made: RunFolder, made_from: dict[str, str]) -> None:
    """The settings and the scores. The command names no folder of the machine it was given on.

    Tables of further Cs name the V and M that these grew in; they are gone on with in a copy of the release.
    """
    ours = {"vision": work.vision(parts.round)[1], "memory": work.memory(parts.round)[1]}
    record: dict[str, Any] = read_json(work.run.experiment)
    if isinstance(record.get("command"), str):
        record["command"] = re.sub(r"--run[ =]\S+", f"--run runs/{name}", record["command"])
    write_json(made.experiment, record)
    write_json(made.best_controller, read_json(work.run.best_controller))
    left_behind = work.run.resume(work.run.evaluation("actual"))  # by a run that was killed as it ended
    for path in sorted(work.run.evaluation("any").parent.glob("*.json")):
        if path == left_behind:
            continue
        content = read_json(path)
        if path in (work.run.sweep, work.run.ablation) and content.get("memory") == ours["memory"]:
            content |= {part: made_from[part] for part in ours if part in content}
        write_json(made.evaluation(path.stem), content)


def write_starts(work: Work, parts: Parts, made: RunFolder, made_from: dict[str, str]) -> None:
    """Moments at which the new M's dreams begin, and mean and standard deviation of V's mu."""
    memory, _ = load_memory(made, work.memory_round(parts.round), made_from["vision"], work.device)
    seen = work.seen(parts.round)
    rng = numpy_stream(work.experiment.seed, "starts", parts.round)
    starts = gather_starts(memory, seen, STARTS, rng)
    mu = np.concatenate([episode.mu for episode in seen])  # (N, Z)
    bank = {"mu": starts.mu, "logvar": starts.logvar, "h": starts.h, "c": starts.c}
    weights = {name: halved(tensor) for name, tensor in bank.items()}
    weights |= {
        "latent_mean": torch.from_numpy(mu.mean(axis=0)),
        "latent_std": torch.from_numpy(mu.std(axis=0)),
    }
    config = {"openings": starts.openings}
    save_checkpoint(made.starts, kind="starts", config=config, weights=weights, made_from=made_from)


def example_frames(work: Work, round: int) -> np.ndarray:
    """Frames of the actual game (24, 64, 64, 3) uint8, at random, as many of each round's rollouts until `round`."""
    rng = numpy_stream(work.experiment.seed, "examples", round)
    stores = [work.store(r) for r in range(round + 1)]
    chosen = []
    for i in range(EXAMPLE_ROWS * EXAMPLE_COLUMNS):
        store = stores[i % len(stores)]
        frames = store.read_arrays(rng.choice(store.indices()), ("frames",))["frames"]
        chosen.append(frames[rng.integers(len(frames))])
    return np.stack(chosen)


def _refuse_large_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.stat().st_size >= LARGEST:
            raise UserError(
                f"{path.name} of {path.parent.name} would have {path.stat().st_size / 1e6:.0f} MB: "
                f"a release is kept in a repository, and no file in it may have {LARGEST / 1e6:.0f} MB"
            )
