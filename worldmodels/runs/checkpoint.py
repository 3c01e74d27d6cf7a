"""Checkpoints: one safetensors file each, so that saving is atomic; nothing in it can run code.

The header carries `format`, `kind`, `config`, `progress`, `made_from` and `sha256`. Any safetensors reader
opens the weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from worldmodels.errors import UserError
from worldmodels.runs.files import read_whole, write_atomically
from worldmodels.runs.folder import command_for

FORMAT = "worldmodels-1"


@dataclass(frozen=True)
class Checkpoint:
    """One saved model: its settings and weights, how far its training was and what it was made from."""

    kind: str  # "vision", "memory", "controller", ...
    config: dict[str, Any]
    progress: dict[str, Any]
    made_from: dict[str, str]  # kind -> sha256 of the checkpoint that this one was trained on
    weights: dict[str, Tensor]  # on the CPU
    sha256: str  # of kind, config and weights; not of progress and made_from


def save_checkpoint(
    path: Path,
    *,
    kind: str,
    config: dict[str, Any],
    weights: Mapping[str, Tensor],
    progress: dict[str, Any] | None = None,
    made_from: Mapping[str, str] | None = None,
) -> str:
    """Save a checkpoint in one atomic write and return its sha256.

    `config` and `progress` are what JSON can say, infinities included; tuples come back as lists. Raises
    UserError naming the tensor when a weight is not finite, and when the disk is full; the file that was at
    `path` then stays.
    """
    on_cpu = {name: _own_copy(tensor) for name, tensor in weights.items()}
    if (bad := _not_finite(on_cpu)) is not None:
        raise UserError(
            f"{kind} was not saved to {path}: its weight {bad} has values that are not finite, so its "
            "training has diverged; lower its learning rate and run the same command again"
        )
    sha256 = _sha256(kind, config, on_cpu)
    header = {
        "format": FORMAT,
        "kind": kind,
        "config": _json(config),
        "progress": _json(progress or {}),
        "made_from": _json(dict(made_from or {})),
        "sha256": sha256,
    }
    write_atomically(path, _in_one_order(safetensors.torch.save(on_cpu, metadata=header)))
    return sha256


def load_checkpoint(path: Path, *, kind: str, made_from: Mapping[str, str] | None = None) -> Checkpoint:
    """Load the checkpoint at `path` with its weights on the CPU.

    Raises UserError with one sentence when the file is missing, damaged, no checkpoint of ours, of another
    kind than `kind`, or made from others than `made_from` (kind -> sha256; kinds that are not named are not
    checked).
    """
    data = read_whole(path)
    again = f"delete it and run `{command_for(path)}`"
    try:
        weights = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{path} is cut short or not a checkpoint ({error}); {again}") from error
    header = _header(data)
    if header.get("format") != FORMAT:
        raise UserError(f"{path} is a safetensors file but not a {FORMAT} checkpoint; {again}")
    if header.get("kind") != kind:
        raise UserError(f"{path} holds a {header.get('kind')} checkpoint where {kind} is needed; {again}")
    if (checkpoint := _intact(header, weights)) is None:
        raise UserError(f"{path} is damaged: its content does not match its checksum; {again}")
    if (bad := _not_finite(weights)) is not None:
        raise UserError(f"{path} is of no use: its weight {bad} has values that are not finite; {again}")
    for ancestor, expected in (made_from or {}).items():
        if checkpoint.made_from.get(ancestor) != expected:
            raise UserError(f"{path} was made from another {ancestor} than the one in use; {again}")
    return checkpoint


def _header(data: bytes) -> dict[str, str]:
    """The texts in the header of a valid safetensors file, which begins with its length in 8 bytes."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]).get("__metadata__") or {}


def _intact(header: Mapping[str, str], weights: dict[str, Tensor]) -> Checkpoint | None:
    """The checkpoint, or None when its parts do not belong together."""
    try:
        kind = header["kind"]
        config, progress, made_from = (
            json.loads(header[part]) for part in ("config", "progress", "made_from")
        )
        checkpoint = Checkpoint(kind, config, progress, made_from, weights, _sha256(kind, config, weights))
        return checkpoint if checkpoint.sha256 == header["sha256"] else None
    except (ValueError, KeyError):
        return None


def _in_one_order(data: bytes) -> bytes:
    """The same safetensors file with its metadata sorted: the library writes them in an order of chance."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at multiples of 8 bytes
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def _own_copy(tensor: Tensor) -> Tensor:
    """A contiguous CPU copy: safetensors refuses views and shared storage."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """Name of the first tensor with a NaN or an infinity."""
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None


def _sha256(kind: str, config: dict[str, Any], weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(_json([FORMAT, kind, config]).encode())
    for name in sorted(weights):
        tensor = weights[name]
        digest.update(_json([name, list(tensor.shape), str(tensor.dtype)]).encode())
        # As bytes, since numpy has no bfloat16.
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _json(content: Any) -> str:
    """One spelling for equal contents."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
