"""What others have published about the games, to stand beside a run's own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Mean ± standard deviation of single episodes; None where it was not given."""

    label: str
    actual: tuple[float, float]
    dream: tuple[float, float] | None = None
    temperature: float | None = None  # of the dream in which C was evolved


# Ha & Schmidhuber (2018), "Cheating the World Model": the table over temperatures and the random policy's score.
# The authors' weights: their own later run of them, at the temperature of their code. Others' runs of 1,000 episodes.
TABLES: Mapping[str, Sequence[Published]] = {
    "take-cover": (
        Published("the paper", (193, 58), (2086, 140), 0.10),
        Published("the paper", (196, 50), (2060, 277), 0.50),
        Published("the paper", (868, 511), (1145, 690), 1.00),
        Published("the paper", (1092, 556), (918, 546), 1.15),
        Published("the paper", (753, 139), (732, 269), 1.30),
        Published("the paper, random policy", (210, 108)),
        Published("the authors’ released weights, run again by them", (973, 540)),
        Published("the paper’s method, trained again by others", (849, 500)),
        Published("the same with dropout in the dream", (933, 552)),
    )
}

# The same, "Car Racing Experiment": by what C sees, in the names of `worldmodels ablate`.
FEATURES: Mapping[str, Mapping[str, Published]] = {
    "car-racing": {
        "z": Published("the paper", (632, 251)),
        "z-hidden": Published("the paper", (788, 141)),
        "zh": Published("the paper", (906, 21)),
    }
}
