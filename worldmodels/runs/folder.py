"""The run folder: every path inside it, and which command makes the file at a path.

runs/car-racing/
  experiment.json                          the resolved settings, versions and machine
  rollouts/round-00/episode-00000.npz      frames, actions and rewards of the actual game
  latents/round-00/                        the same episodes seen by V: mu, logvar
  vision/round-00.safetensors              V (round-00.resume.safetensors while its training is unfinished)
  memory/round-00.safetensors              M, likewise
  controller/round-00.safetensors          C, likewise
  controller/best.json                     which round's C is best, and its score
  evaluation/NAME.json                     scores
  metrics/NAME.jsonl, metrics/tensorboard/
  media/NAME                               pictures and videos
  report.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Folder -> the verb of `worldmodels VERB RUN` that fills it.
MADE_BY = {
    "rollouts": "collect",
    "latents": "encode",
    "vision": "vision",
    "memory": "memory",
    "controller": "evolve",
    "evaluation": "evaluate",
}


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run. Makes no folders: whoever writes a file makes its parents."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))  # a str is welcome

    @property
    def experiment(self) -> Path:
        return self.path / "experiment.json"

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

    def memory(self, round: int) -> Path:
        return self.path / "memory" / f"{_round(round)}.safetensors"

    def controller(self, round: int) -> Path:
        return self.path / "controller" / f"{_round(round)}.safetensors"

    def resume(self, path: Path) -> Path:
        """Where the unfinished training of the checkpoint at `path` is kept."""
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
    def finished(self) -> Path:
        """Written last of all, when every stage is complete."""
        return self.path / "finished.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"


def command_for(path: Path) -> str:
    """The command that makes the file at `path` (`worldmodels memory runs/car-racing`), for error messages.

    A path outside a run folder gets the general `worldmodels train`.
    """
    for folder in path.parents:
        if folder.name in MADE_BY:
            return f"worldmodels {MADE_BY[folder.name]} {folder.parent}"
    return "worldmodels train"


def _round(round: int) -> str:
    if round < 0:
        raise ValueError(f"round must be >= 0, got {round}")
    return f"round-{round:02d}"
