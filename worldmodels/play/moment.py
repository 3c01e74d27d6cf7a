"""A moment of a dream as a text that fits in a link: the seed, and what was done in each tick until then.

    code = base64url without padding of zlib of: a line of JSON, "\\n", then bytes
    {"version": 1, "model": first 16 hex digits of the hash of M's checkpoint, "starts": [openings, later moments],
     "seed": S, "ticks": T, "actions": A, "temperatures": [[ticks, hundredths], ...]}
    bytes: for each of the A actions T of them, its hundredths less those of the tick before (or 0), modulo 256

The dream is dreamt again from it, tick by tick, in M and nowhere else: so the link holds no latent, and is refused
by another M.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from itertools import groupby
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worldmodels.errors import UserError
from worldmodels.play.actions import ActionRange
from worldmodels.play.dream import LONGEST, Dream
from worldmodels.play.model import PlayModel

LONGEST_CODE = 60_000  # characters; with its message it stays below what the server takes
_LONGEST_HEADER = 2_000_000  # bytes: a temperature of its own for each of 36,000 ticks needs half a megabyte
NOT_A_MOMENT = "this link holds no moment of a dream; it may have been cut short when it was copied"

Count = Annotated[int, Field(ge=0, le=LONGEST)]


class Moment(NamedTuple):
    """What leads there."""

    seed: int
    actions: np.ndarray  # (T, A) int8, hundredths
    temperatures: np.ndarray  # (T,) uint16, hundredths


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    model: Annotated[str, Field(max_length=16)]
    starts: Annotated[list[int], Field(min_length=2, max_length=2)]
    seed: Annotated[int, Field(ge=0, lt=2**53)]
    ticks: Count
    actions: Annotated[int, Field(ge=1, le=64)]
    temperatures: Annotated[
        list[tuple[Count, Annotated[int, Field(ge=1, le=1000)]]], Field(max_length=LONGEST)
    ]


def moment_code(dream: Dream) -> str:
    """The moment after the last finished tick. UserError when it lies too far in for a link."""
    runs = [[len(list(same)), value] for value, same in groupby(dream.temperatures.tolist())]
    starts = dream.model.starts
    header = {
        "version": 1,
        "model": dream.model.memory_hash[:16],
        "starts": [starts.openings, len(starts) - starts.openings],
        "seed": dream.seed,
        "ticks": dream.state.tick,
        "actions": dream.model.spec.action_size,
        "temperatures": runs,
    }
    columns = dream.actions.T.astype(np.int16)  # (A, T)
    changes = np.diff(columns, axis=1, prepend=np.int16(0)).astype(np.uint8)  # modulo 256
    plain = json.dumps(header, separators=(",", ":")).encode() + b"\n" + changes.tobytes()
    code = base64.urlsafe_b64encode(zlib.compress(plain, 9)).decode().rstrip("=")
    if len(code) > LONGEST_CODE:
        raise UserError(
            f"after {dream.state.tick} ticks this dream is too long for a link; go back, and share an earlier moment"
        )
    return code


def read_moment(code: str, model: PlayModel) -> Moment:
    """The moment of a code. UserError, in one sentence, when it is none, or one of another model."""
    most = _LONGEST_HEADER + LONGEST * model.spec.action_size
    try:
        packed = base64.b64decode(code + "=" * (-len(code) % 4), altchars=b"-_", validate=True)
        inflating = zlib.decompressobj()
        plain = inflating.decompress(packed, most)  # never more than that, whatever the code says
        line, _, data = plain.partition(b"\n")
        header = _Header.model_validate_json(line)
    except (binascii.Error, zlib.error, ValidationError, ValueError) as error:
        raise UserError(NOT_A_MOMENT) from error
    starts = [model.starts.openings, len(model.starts) - model.starts.openings]
    if header.model != model.memory_hash[:16] or header.starts != starts:
        raise UserError(
            "this moment was dreamt by another model than the one that is being played; open it with that one"
        )
    size, ticks = header.actions, header.ticks
    held = sum(count for count, _ in header.temperatures)  # ticks that have a temperature
    if not inflating.eof or size != model.spec.action_size or len(data) != size * ticks or held != ticks:
        raise UserError(NOT_A_MOMENT)
    temperatures = np.repeat(
        np.array([value for _, value in header.temperatures], np.uint16),
        np.array([count for count, _ in header.temperatures], np.int64),
    )
    changes = np.frombuffer(data, np.uint8).reshape(size, ticks)
    actions = np.cumsum(changes, axis=1, dtype=np.uint8).view(np.int8).T  # (T, A)
    allowed = ActionRange(model.spec)
    if not all(allowed.contains(tuple(action)) for action in np.unique(actions, axis=0).tolist()):
        raise UserError(NOT_A_MOMENT)
    return Moment(header.seed, actions, temperatures)
