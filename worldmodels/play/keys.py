"""Which keys do what in each game."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worldmodels.envs.game import GameSpec


@dataclass(frozen=True)
class Key:
    """A key, by its name in the browser, and what it asks for while it is held."""

    key: str
    label: str  # for people
    action: int  # which of the game's actions
    value: float  # in the game's units


@dataclass(frozen=True)
class Controls:
    """A game as a person plays it."""

    names: tuple[str, ...]  # of the actions
    keys: tuple[Key, ...]
    rise: float = 6.0  # units a second at which an action follows a key that is held


CONTROLS = {
    "car-racing": Controls(
        ("steering", "gas", "brake"),
        (
            Key("ArrowLeft", "steer left", 0, -1.0),
            Key("ArrowRight", "steer right", 0, 1.0),
            Key("ArrowUp", "gas", 1, 1.0),
            Key("ArrowDown", "brake", 2, 0.8),
        ),
    ),
    "take-cover": Controls(
        ("step",),
        (Key("ArrowLeft", "step left", 0, -1.0), Key("ArrowRight", "step right", 0, 1.0)),
        rise=70.0,  # the game knows thirds: past the first within half a step
    ),
    "toy": Controls(
        ("paddle",),
        (Key("ArrowLeft", "paddle left", 0, -1.0), Key("ArrowRight", "paddle right", 0, 1.0)),
        rise=20.0,  # an episode has 40 steps
    ),
}


def controls(spec: GameSpec) -> Controls:
    """Those of the game; for one that is not listed, arrows on its first two actions."""
    if spec.name in CONTROLS:
        return CONTROLS[spec.name]
    names = tuple(f"action {index + 1}" for index in range(spec.action_size))
    keys = []
    pairs = (("ArrowLeft", "ArrowRight"), ("ArrowDown", "ArrowUp"))
    for index, (less, more) in list(enumerate(pairs))[: spec.action_size]:
        low, high = float(spec.action_low[index]), float(spec.action_high[index])
        if low < 0:  # an action that begins at 0 is at rest there, and needs no key for it
            keys.append(Key(less, f"{names[index]} down", index, low))
        keys.append(Key(more, f"{names[index]} up", index, high))
    return Controls(names, tuple(keys))


def for_client(spec: GameSpec) -> dict[str, Any]:
    """Actions, keys and their pace, as the page is told."""
    chosen = controls(spec)
    bounds = zip(chosen.names, spec.action_low.tolist(), spec.action_high.tolist(), strict=True)
    return {
        "actions": [{"name": name, "low": low, "high": high} for name, low, high in bounds],
        "keys": [vars(key) for key in chosen.keys],
        "rise": chosen.rise,
    }
