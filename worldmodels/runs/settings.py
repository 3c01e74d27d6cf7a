"""Frozen dataclasses of settings to JSON and back, refusing what they do not know."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from worldmodels.errors import UserError

Settings = TypeVar("Settings")


def to_json(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as nested dicts. UserError for a number that is not finite."""
    content = asdict(settings)
    _refuse_infinite(content, "")
    return content


def _refuse_infinite(content: Mapping[str, Any], where: str) -> None:
    for name, value in content.items():
        if isinstance(value, Mapping):
            _refuse_infinite(value, f"{where}{name}.")
        elif isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{where}{name} must be a finite number, got {value}")


def from_json(kind: type[Settings], content: Mapping[str, Any], where: str = "") -> Settings:
    """Nested dicts as the dataclass `kind`.

    Settings that are missing keep their default. Raises UserError for a name that is no setting and for a value that
    the dataclass rejects; `where` is the path of names so far.
    """
    names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in content.items():
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {where}{close[0]}?" if close else ""
            raise UserError(f"{where}{name} is not a setting{hint}")
        if is_dataclass(hints[name]):
            if not isinstance(value, Mapping):
                raise UserError(f"{where}{name} holds settings of its own, got {value!r}")
            value = from_json(hints[name], value, f"{where}{name}.")
        values[name] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"the settings {where.rstrip('.') or 'of the experiment'} are wrong: {error}"
        ) from error


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str = "") -> list[str]:
    """Each setting that differs, as `mdn_rnn.hidden_size 512 instead of 256`."""
    found = []
    for name in ours:
        a, b = ours[name], theirs.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{where}{name}.")
        elif _plain(a) != _plain(b):
            found.append(f"{where}{name} {b} instead of {a}")
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
