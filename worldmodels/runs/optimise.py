"""The optimisation loop that V and M share: Adam, a falling rate, checkpoints, a guard against divergence."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worldmodels.errors import UserError
from worldmodels.runs.checkpoint import load_checkpoint, save_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.interrupt import deferred_interrupt
from worldmodels.runs.metrics import MetricsLog
from worldmodels.runs.progress import progress
from worldmodels.runs.step import LearningStep

LOG_EVERY = 20  # steps
GIVE_UP_AFTER = 20  # undone steps in a row: by then it is the settings and not one bad batch


@dataclass(frozen=True)
class AdamConfig:
    """How long and how fast to learn."""

    steps: int
    batch_size: int
    learning_rate: float
    final_learning_rate: float  # reached by a cosine at the last step
    clip: float | None = None  # each gradient element is clipped to [-clip, clip]
    precision: str = "auto"  # "f32", "bf16" (mixed), or "auto": bf16 where the machine multiplies it faster

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1:
            raise ValueError(
                f"steps and batch_size must be at least 1, got {self.steps} and {self.batch_size}"
            )
        if not 0 < self.final_learning_rate <= self.learning_rate:
            raise ValueError(
                f"learning rates must fall: got {self.learning_rate} down to {self.final_learning_rate}"
            )
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be above 0, or none, got {self.clip}")
        if self.precision not in ("auto", "f32", "bf16"):
            raise ValueError(f"precision must be auto, f32 or bf16, got {self.precision!r}")

    def rate(self, step: int) -> float:
        """Learning rate of a step in [0, steps)."""
        phase = step / max(1, self.steps - 1)
        return self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * 0.5 * (
            1 + math.cos(math.pi * phase)
        )


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Mixed precision where it pays: on GPUs, and on CPUs that multiply in bf16 (AMX, or AVX-512 with BF16)."""
    if precision == "auto":
        able = torch.cpu.get_capabilities()
        fast = device.type == "cuda" or able.get("amx_bf16", False) or able.get("avx512_bf16", False)
        precision = "bf16" if fast else "f32"
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def optimise(
    model: nn.Module,
    data: Callable[[int], Sequence[Tensor]],
    losses: Callable[..., Mapping[str, Tensor]],
    config: AdamConfig,
    *,
    run: RunFolder,
    path: Path,
    kind: str,
    model_config: dict[str, Any],
    made_from: Mapping[str, str],
    log_name: str,
    save_every: float = 20.0,
    carried: Mapping[str, Tensor] | None = None,
) -> str:
    """Train `model` for config.steps steps and save it at `path`; returns its sha256.

    Every step is a function of the weights and of its number (`data(step)` draws its batch and its noise from the
    streams of that step), so a killed run that goes on from its last checkpoint ends in the same weights.
    A step whose loss or gradient is not finite is not applied, and reported.

    On a GPU a step is one CUDA graph, and nobody waits for it but where numbers are logged or a checkpoint is saved.

    Args:
        data: step -> what it learns from, tensors on the model's device, of the same shapes at every step or of few.
        losses: those tensors -> {"loss": what is minimised, other names: what is logged}, scalars. It looks at nothing
            else that changes from step to step, and reads no value.
        log_name: of its log in the run's metrics.
        save_every: seconds between two checkpoints of an unfinished training.
        carried: tensors that `losses` changes in place from step to step, and that the next step depends on.
    Raises:
        UserError: when GIVE_UP_AFTER steps in a row were not finite, at the next look at the numbers. The last
            checkpoint stays.
    """
    resume = run.resume(path)
    carried = carried or {}
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    learn = LearningStep(parameters, losses, clip=config.clip, kept=list(carried.values()))
    settings = {"model": model_config, "training": asdict(config)}
    full_config = json.loads(json.dumps(settings))  # as a checkpoint gives it back, with lists for tuples
    first = 0
    if resume.exists():
        first, undone = _restore(resume, model, parameters, learn.adam, carried, kind, full_config, made_from)
        learn.go_on(undone)
    saved = time.monotonic()
    with (
        deferred_interrupt() as interrupt,
        MetricsLog(run, log_name, keep_before=first) as log,
        progress(log_name, config.steps, "steps", start=first) as bar,
    ):
        for step in range(first, config.steps):
            rate = config.rate(step)
            values = learn(rate, data(step))
            if step % LOG_EVERY == 0 or step == config.steps - 1:
                undone = _undone(learn, kind, step, config)
                numbers = {key: float(value) for key, value in values.items()}
                log.write(step, **numbers, learning_rate=rate, undone=undone)
                bar.advance(0, **numbers, **({"undone": undone} if undone else {}))
            bar.advance()
            if interrupt.requested or time.monotonic() - saved > save_every:
                progressed = {"step": step + 1, "undone": _undone(learn, kind, step, config)}
                save_checkpoint(
                    resume,
                    kind=f"{kind}-training",
                    config=full_config,
                    weights=_training_state(model, parameters, learn.adam, carried),
                    progress=progressed,
                    made_from=made_from,
                )
                saved = time.monotonic()
                if interrupt.requested:
                    raise KeyboardInterrupt
    undone, _ = learn.looked_at()
    sha256 = save_checkpoint(
        path,
        kind=kind,
        config=model_config,
        weights=model.state_dict(),
        progress={"steps": config.steps, "undone": undone, "training": asdict(config)},
        made_from=made_from,
    )
    resume.unlink(missing_ok=True)
    if interrupt.requested:  # after the last look, while the logs were closed
        raise KeyboardInterrupt
    return sha256


def _undone(learn: LearningStep, kind: str, step: int, config: AdamConfig) -> int:
    """How many steps were left out until now; UserError where too many were in a row since the training went on."""
    undone, longest = learn.looked_at()
    if longest >= GIVE_UP_AFTER:
        raise UserError(
            f"the training of {kind} diverged: {longest} steps in a row were not finite "
            f"(seen at step {step}); run it again with a learning rate below {config.learning_rate}"
        )
    return undone


def _training_state(
    model: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    adam: torch.optim.Adam,
    carried: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Everything that the next step depends on: weights, Adam's averages, and what is carried on."""
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in parameters.items():
        for key, value in adam.state[parameter].items():
            state[f"adam.{key}.{name}"] = value
    return state | {f"carried.{name}": tensor for name, tensor in carried.items()}


def _restore(
    resume: Path,
    model: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    adam: torch.optim.Adam,
    carried: Mapping[str, Tensor],
    kind: str,
    config: dict[str, Any],
    made_from: Mapping[str, str],
) -> tuple[int, int]:
    """Put an unfinished training back; returns its next step, and how many steps were undone.

    A training with other settings or from other data is not continued but begun again: (0, 0).
    """
    checkpoint = load_checkpoint(resume, kind=f"{kind}-training")
    if checkpoint.config != config or checkpoint.made_from != dict(made_from):
        return 0, 0
    model.load_state_dict(_with_prefix(checkpoint.weights, "model."))
    for name, parameter in parameters.items():
        for key, value in adam.state[parameter].items():
            value.copy_(checkpoint.weights[f"adam.{key}.{name}"])
    for name, tensor in carried.items():
        tensor.copy_(checkpoint.weights[f"carried.{name}"])
    return checkpoint.progress["step"], checkpoint.progress["undone"]


def _with_prefix(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
