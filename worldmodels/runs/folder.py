"""The run folder: every path inside it, and which command makes the file at a path.

runs/car-racing/
  experiment.json                          the resolved settings, versions and machine
  start/                                   where it began at another run: that one's V, M and C, and which it was
  rollouts/round-00/episode-00000.npz      frames, actions and rewards of the actual game
  latents/round-00/                        the same episodes seen by V: mu, logvar
  vision/round-00.safetensors              V (round-00.resume.safetensors while its training is unfinished)
  memory/round-00.safetensors              M, likewise
  memory/round-00-dreamer-1.safetensors    another M of that round, which dreams for C and is not read by it
  controller/round-00.safetensors          C, likewise
  controller/round-00-member-1.*           one of the Cs of which that is the mean, where it is one
  controller/round-00-temperature-0.10.*   another C of that round, evolved in a dream of that temperature
  controller/round-00-temperature-0.10-seed-1.*  the same from other random numbers; without a seed it is 0
  controller/round-00-features-z-hidden.*  a C of an ablation, evolved in the actual game (with -seed-S likewise)
  controller/best.json                     which round's C is best, and its score
  evaluation/NAME.json                     scores (actual.resume.json while the final one is unfinished)
  metrics/NAME.jsonl, metrics/tensorboard/
  media/NAME                               pictures and videos
  report.html
  finished.json                            written last of all

A released run, which `worldmodels release` makes of it, is as slim as can be: no rollouts, latents, metrics and media,
the parts of one round only, and in their place
  starts.safetensors                       moments at which its dreams begin, statistics of the latents
  examples.png                             some frames of the actual game
  README.md                                how it was made and what it scores
and in a copy of one, which may be written to,
  copied.json                              of which release it is a copy
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

# Folder -> the verb of `worldmodels VERB RUN` that fills it.
MADE_BY = {
    "rollouts": "collect",
    "latents": "encode",
    "vision": "vision",
    "memory": "memory",
    "controller": "evolve",
    "evaluation": "train",  # but for the scores that have a verb of their own, see `command_for`
}

TEMPERATURE = re.compile(
    r"-temperature-(\d+\.\d\d)(?:-seed-(\d+))?"
)  # in the names of `controller_at`'s files
FEATURES = re.compile(r"-features-([a-z]+(?:-[a-z]+)*?)(?:-seed-(\d+))?\.")  # in those of `controller_of`'s
ROUND_SCORE = re.compile(r"round-\d+(-dream)?")  # a round's C in the actual game; in its dream

# Released runs that come with the package, a folder each: `pretrained:NAME`.
PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run. Makes no folders: whoever writes a file makes its parents."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))  # a str is welcome

    @property
    def experiment(self) -> Path:
        return self.path / "experiment.json"

    def start(self, kind: str) -> Path:
        """V, M or C ("vision", "memory" or "controller") of another run, at which this one began."""
        return self.path / "start" / f"{kind}.safetensors"

    @property
    def start_record(self) -> Path:
        """Which run that was, and what it had cost."""
        return self.path / "start" / "record.json"

    def rollouts(self, round: int) -> Path:
        return self.path / "rollouts" / _round(round)

    def collected(self, round: int) -> Path:
        """Written when a round's rollouts are complete."""
        return self.path / "rollouts" / f"{_round(round)}.json"

    def encoded(self, round: int) -> Path:
        """Written when a round's V has encoded all rollouts until then."""
        return self.path / "latents" / f"{_round(round)}.json"

    def dream_score(self, round: int) -> Path:
        """What a round's C earns in its dream; written when its evolution is complete."""
        return self.path / "evaluation" / f"{_round(round)}-dream.json"

    def latents(self, round: int) -> Path:
        return self.path / "latents" / _round(round)

    def vision(self, round: int) -> Path:
        return self.path / "vision" / f"{_round(round)}.safetensors"

    def memory(self, round: int, dreamer: int = 0) -> Path:
        """M of a round; with a `dreamer` above 0 another M, in whose dreams C is evolved too."""
        if dreamer < 0:
            raise ValueError(f"dreamer must be >= 0, got {dreamer}")
        name = _round(round) + (f"-dreamer-{dreamer}" if dreamer else "")
        return self.path / "memory" / f"{name}.safetensors"

    def controller(self, round: int) -> Path:
        return self.path / "controller" / f"{_round(round)}.safetensors"

    def controller_member(self, round: int, member: int) -> Path:
        """One of the Cs of a round of which its C is the mean, numbered from 0."""
        if member < 0:
            raise ValueError(f"member must be >= 0, got {member}")
        return self.path / "controller" / f"{_round(round)}-member-{member}.safetensors"

    def controller_at(self, round: int, temperature: float, seed: int = 0) -> Path:
        """A further C of a round, evolved at another temperature than the round's own.

        `seed` counts the evolutions at one temperature; each has random numbers of its own.
        """
        return self.path / "controller" / f"{_at(round, temperature, seed)}.safetensors"

    def controller_of(self, round: int, features: str, seed: int = 0) -> Path:
        """A C of an ablation: evolved in the actual game, with what C sees and how it is built named by `features`."""
        if seed < 0:
            raise ValueError(f"seed must be >= 0, got {seed}")
        name = f"{_round(round)}-features-{features}" + (f"-seed-{seed}" if seed else "")
        return self.path / "controller" / f"{name}.safetensors"

    def controllers_at(self, round: int) -> dict[float, Path]:
        """The further Cs of a round and of seed 0 that are there, by temperature, the lowest first."""
        paths = (self.path / "controller").glob(f"{_round(round)}-temperature-*.safetensors")
        found = {float(match[1]) for path in paths if (match := TEMPERATURE.search(path.name))}
        at = {temperature: self.controller_at(round, temperature) for temperature in sorted(found)}
        return {temperature: path for temperature, path in at.items() if path.exists()}

    def temperature_score(self, round: int, temperature: float, seed: int = 0) -> Path:
        """What such a C earns in its dream and in the actual game; written when it is complete."""
        return self.path / "evaluation" / f"{_at(round, temperature, seed)}.json"

    @property
    def sweep(self) -> Path:
        """The scores of the Cs of all temperatures and seeds, as a table."""
        return self.path / "evaluation" / "sweep.json"

    @property
    def ablation(self) -> Path:
        """The scores of the Cs of all kinds of features and seeds, as a table."""
        return self.path / "evaluation" / "ablation.json"

    def resume(self, path: Path) -> Path:
        """Where the unfinished training of the checkpoint at `path` is kept, or the unfinished score."""
        return path.with_name(f"{path.stem}.resume{path.suffix}")

    @property
    def best_controller(self) -> Path:
        return self.path / "controller" / "best.json"

    def evaluation(self, name: str) -> Path:
        return self.path / "evaluation" / f"{name}.json"

    def metrics(self, name: str) -> Path:
        return self.path / "metrics" / f"{name}.jsonl"

    @property
    def tensorboard(self) -> Path:
        return self.path / "metrics" / "tensorboard"

    def media(self, name: str) -> Path:
        return self.path / "media" / name

    @property
    def starts(self) -> Path:
        """The moments at which dreams begin, in a released run; its presence says that it is one."""
        return self.path / "starts.safetensors"

    @property
    def examples(self) -> Path:
        """Frames of the actual game, in a released run."""
        return self.path / "examples.png"

    @property
    def model_card(self) -> Path:
        """How a released run was made and what it scores."""
        return self.path / "README.md"

    @property
    def is_released(self) -> bool:
        """Whether this is what `worldmodels release` makes of a run: to be used, and never written to."""
        return self.starts.exists()

    @property
    def copied(self) -> Path:
        """Says of which release this is a copy."""
        return self.path / "copied.json"

    @property
    def is_copy(self) -> bool:
        """Whether this is a copy of a release, in which further Cs and a report may be made."""
        return self.copied.exists()

    @property
    def finished(self) -> Path:
        """Written last of all, when every stage is complete."""
        return self.path / "finished.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"


def command_for(path: Path) -> str:
    """The command that makes the file at `path` (`worldmodels memory runs/car-racing`), for error messages.

    A path outside a run folder gets the general `worldmodels train GAME`. What is released is not made again from what
    lies beside it: it is fetched again, or released again from its run.
    """
    if PRETRAINED in path.parents:
        return f"git checkout -- {path}"
    for folder in path.parents:
        run = folder.parent if folder.name in MADE_BY else folder
        if RunFolder(run).is_released and not (RunFolder(run).is_copy and _is_made_in_copies(path, run)):
            return _from_its_release(RunFolder(run), path) or (
                f"worldmodels release RUN --name {run.name} --out {run.parent}"
            )
        if folder.name in MADE_BY and (match := TEMPERATURE.search(path.name)):
            return f"worldmodels evolve {run} --temperature {match[1]}" + (
                f" --seed {match[2]}" if match[2] else ""
            )
        if folder.name in MADE_BY and (match := FEATURES.search(path.name)):
            return f"worldmodels ablate {run} --features {match[1]}" + (
                f" --seeds {int(match[2]) + 1}" if match[2] else ""
            )
        if folder.name == "start":
            return f"worldmodels train {_game(folder.parent)} --run {folder.parent}"
        if path == RunFolder(run).sweep:
            return f"worldmodels sweep {run}"
        if path == RunFolder(run).ablation:
            return f"worldmodels ablate {run}"
        if folder.name == "evaluation" and (match := ROUND_SCORE.fullmatch(path.stem)):
            return f"worldmodels {'evolve' if match[1] else 'collect'} {run}"
        if folder.name == "evaluation" or path == RunFolder(run).best_controller:
            return f"worldmodels train {_game(run)} --run {run}"  # no verb of its own writes these
        if folder.name in MADE_BY:
            return f"worldmodels {MADE_BY[folder.name]} {run}"
    return "worldmodels train GAME"


def _is_made_in_copies(path: Path, run: Path) -> bool:
    found = TEMPERATURE.search(path.name) or FEATURES.search(path.name)
    return found is not None or path in (RunFolder(run).sweep, RunFolder(run).ablation)


def _from_its_release(copy: RunFolder, path: Path) -> str | None:
    """The command that fetches a file of a copy again from the release that came with the package, if it is there."""
    try:
        name = json.loads(copy.copied.read_bytes())["release"]
        source = PRETRAINED / name / path.relative_to(copy.path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return f"cp {source} {path}" if source.exists() else None


def _game(run: Path) -> str:
    """The game of a run, to be typed; GAME where nobody knows."""
    try:
        return str(json.loads(RunFolder(run).experiment.read_bytes())["experiment"]["game"])
    except (OSError, ValueError, KeyError, TypeError):
        return "GAME"


def _round(round: int) -> str:
    if round < 0:
        raise ValueError(f"round must be >= 0, got {round}")
    return f"round-{round:02d}"


def _at(round: int, temperature: float, seed: int) -> str:
    if float(f"{temperature:.2f}") != temperature:
        raise ValueError(f"temperature must be a multiple of 0.01, got {temperature}")
    if seed < 0:
        raise ValueError(f"seed must be >= 0, got {seed}")
    return f"{_round(round)}-temperature-{temperature:.2f}" + (f"-seed-{seed}" if seed else "")
