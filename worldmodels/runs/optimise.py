"""The optimisation loop that V and M share: Adam, a falling rate, checkpoints, a guard against divergence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
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
        if self.precision not in ("auto", "f32", "bf16"):
            raise ValueError(f"precision must be auto, f32 or bf16, got {self.precision!r}")

    def rate(self, step: int) -> float:
        """Learning rate of a step in [0, steps)."""
        phase = step / max(1, self.steps - 1)
        return self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * 0.5 * (
            1 + math.cos(math.pi * phase)
        )


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Mixed precision where it pays: on GPUs, and on CPUs that multiply matrices in bf16 (AMX)."""
    if precision == "auto":
        fast = device.type == "cuda" or torch.cpu.get_capabilities().get("amx_bf16", False)
        precision = "bf16" if fast else "f32"
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def optimise(
    model: nn.Module,
    batch_loss: Callable[[int], Mapping[str, Tensor]],
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

    Every step is a function of the weights and of its number (`batch_loss(step)` draws its batch from the
    stream of that step), so a killed run that goes on from its last checkpoint ends in the same weights.
    A step whose loss or gradient is not finite is not applied, and reported.

    Args:
        batch_loss: step -> {"loss": what is minimised, other names: what is logged}, scalars.
        log_name: of its log in the run's metrics.
        save_every: seconds between two checkpoints of an unfinished training.
        carried: tensors that `batch_loss` changes in place from step to step, and that the next step depends on.
    Raises:
        UserError: when GIVE_UP_AFTER steps in a row were not finite. The last checkpoint stays.
    """
    resume = run.resume(path)
    carried = carried or {}
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    adam = torch.optim.Adam(parameters.values(), lr=config.learning_rate, fused=True)
    full_config = {"model": model_config, "training": asdict(config)}
    first, undone = 0, 0
    if resume.exists():
        first, undone = _restore(resume, model, parameters, adam, carried, kind, full_config, made_from)
    in_a_row = 0
    saved = time.monotonic()
    with (
        deferred_interrupt() as interrupt,
        MetricsLog(run, log_name, keep_before=first) as log,
        progress(log_name, config.steps, "steps", start=first) as bar,
    ):
        for step in range(first, config.steps):
            for group in adam.param_groups:
                group["lr"] = config.rate(step)
            values = batch_loss(step)
            adam.zero_grad(set_to_none=True)
            values["loss"].backward()
            if _finite(values["loss"], parameters):
                if config.clip is not None:
                    nn.utils.clip_grad_value_(parameters.values(), config.clip)
                adam.step()
                in_a_row = 0
            else:
                undone += 1
                in_a_row += 1
                if in_a_row >= GIVE_UP_AFTER:
                    raise UserError(
                        f"the training of {kind} diverged: {in_a_row} steps in a row were not finite "
                        f"(at step {step}); run it again with a learning rate below {config.learning_rate}"
                    )
            if step % LOG_EVERY == 0 or step == config.steps - 1:
                numbers = {key: float(value.detach()) for key, value in values.items()}
                log.write(step, **numbers, learning_rate=config.rate(step), undone=undone)
                bar.advance(0, **numbers, **({"undone": undone} if undone else {}))
            bar.advance()
            if interrupt.requested or time.monotonic() - saved > save_every:
                state = _training_state(model, parameters, adam, carried)
                progressed = {"step": step + 1, "undone": undone}
                save_checkpoint(
                    resume,
                    kind=f"{kind}-training",
                    config=full_config,
                    weights=state,
                    progress=progressed,
                    made_from=made_from,
                )
                saved = time.monotonic()
                if interrupt.requested:
                    raise KeyboardInterrupt
    sha256 = save_checkpoint(
        path,
        kind=kind,
        config=model_config,
        weights=model.state_dict(),
        progress={"steps": config.steps, "undone": undone, "training": asdict(config)},
        made_from=made_from,
    )
    resume.unlink(missing_ok=True)
    return sha256


def _finite(loss: Tensor, parameters: Mapping[str, nn.Parameter]) -> bool:
    """Whether the loss and every gradient element are finite, with one wait for the device."""
    norm = nn.utils.get_total_norm([p.grad for p in parameters.values() if p.grad is not None])
    return bool(torch.isfinite(loss.detach() + norm))


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
        saved = {key: checkpoint.weights[f"adam.{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")}
        # Fused Adam pairs a weight with its averages by their places in memory: where the weights are laid out as
        # channels_last, the averages must be too. It wants its step count on the device.
        adam.state[parameter] = {
            key: value.to(parameter.device) if key == "step" else torch.empty_like(parameter).copy_(value)
            for key, value in saved.items()
        }
    for name, tensor in carried.items():
        tensor.copy_(checkpoint.weights[f"carried.{name}"])
    return checkpoint.progress["step"], checkpoint.progress["undone"]


def _with_prefix(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
