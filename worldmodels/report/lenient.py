"""Values out of JSON that somebody may have edited: what has another type than expected counts as missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def number(value: object) -> float | None:
    """A finite number, or None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON has whole numbers of any length
        return None


def numbers(value: object) -> tuple[float, ...]:
    """The finite numbers of a list; () for anything else."""
    found = (number(item) for item in listed(value))
    return tuple(item for item in found if item is not None)


def whole(value: object) -> int | None:
    """A finite number as an int, or None."""
    found = number(value)
    return None if found is None else int(found)


def listed(value: object) -> Sequence[Any]:
    """A JSON array, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """A JSON object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}
