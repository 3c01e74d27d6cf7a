"""What a controller knows of a world: features, rewards, ends.

The actual world and the dream look alike from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeGuard

import torch
from torch import Tensor

from worldmodels.memory.mdn_rnn import Recurrent

FEATURES = ("z", "zh", "zch")


class Step(NamedTuple):
    """What a tick brings to each of B episodes.

    After its end (terminated or truncated) an episode stays ended and earns nothing, and its features mean
    nothing.
    """

    features: Tensor  # (B, F), what the next action is chosen by
    reward: Tensor  # (B,) earned by this action, in the game's units
    terminated: Tensor  # (B,) bool: the game is over
    truncated: Tensor  # (B,) bool: cut off by the horizon or by the game's own limit, and not terminated
    missed: Tensor | None = None  # (B,) tiles of the road left behind untouched; None: nobody counts them
    chance: Tensor | None = None  # (B,) of an end with this tick, where ends are drawn; None: they are not


class World(Protocol):
    """Many episodes at once of one world."""

    feature_size: int
    horizon: int  # ticks of an episode at most; a dream may go on beyond them, uncounted, a game may not
    at_once: int  # episodes that it bears in one batch
    device: torch.device  # where its features live

    @property
    def game_steps(self) -> int:
        """Steps of the actual game that were played in it until now; a dream has none."""
        ...

    def reset(self, seeds: Sequence[int]) -> Tensor:
        """Begin one episode for each seed; returns the first features (B, F)."""
        ...

    def step(self, actions: Tensor) -> Step:
        """Act in every episode: actions (B, A) in the game's units."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with episodes `rows` (n,) int64 of the B only, in this order. The others must have ended."""
        ...


class RecordableWorld(World, Protocol):
    """A world whose step is a function of tensors on its device, and never looks at them from outside."""

    recordings: dict[Any, Any]  # of its steps, by what they are good for; they live as long as the world

    @property
    def state(self) -> tuple[Tensor, ...]:
        """Where its B episodes stand, each (B, ...)."""
        ...

    @state.setter
    def state(self, state: tuple[Tensor, ...]) -> None: ...

    @property
    def records(self) -> bool:
        """Whether to record steps and replay them."""
        ...

    def seen(self) -> Tensor:
        """The features (B, F) of where it stands."""
        ...


def records(world: World) -> TypeGuard[RecordableWorld]:
    """Whether steps of this world are to be recorded; most worlds know nothing of it."""
    return getattr(world, "records", False)


def goes_on(world: World) -> TypeGuard[RecordableWorld]:
    """Whether it says where its episodes stand, so that they go on after a stop; actual games do not."""
    return hasattr(world, "seen")


def features(kind: str, z: Tensor, memory: Recurrent) -> Tensor:
    """What C sees: "z" (B, Z), "zh" (B, Z + N) or "zch" (B, Z + 2N), in the order of these letters.

    Raises ValueError for another kind.
    """
    if kind == "z":
        return z
    if kind == "zh":
        return torch.cat([z, memory.h], dim=-1)
    if kind == "zch":
        return torch.cat([z, memory.c, memory.h], dim=-1)
    raise _unknown(kind)


def feature_size(kind: str, latent_size: int, hidden_size: int) -> int:
    """How many numbers C sees (F). Raises ValueError for a kind that is not one of FEATURES."""
    if kind not in FEATURES:
        raise _unknown(kind)
    return latent_size + hidden_size * (len(kind) - 1)


def _unknown(kind: str) -> ValueError:
    return ValueError(f"features must be one of {', '.join(FEATURES)}, got {kind!r}")
