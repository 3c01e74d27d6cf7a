"""One step of learning, which nobody waits for: loss, gradient, Adam; on a GPU all of it is one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from worldmodels.runs.graphs import recorded

Run = Callable[..., Mapping[str, Tensor]]  # a step's data -> scalars by name


class LearningStep:
    """Steps of Adam on a loss.

    A step whose loss or gradient is not finite is left out, by the device itself: weights, Adam's averages and its step
    count stay. Nothing of a step reads a value back; `looked_at` does.

    Args:
        parameters: what learns, by name.
        losses: the step's data -> {"loss": what is minimised, other names: what is logged}, scalars.
        clip: each gradient element is clipped to [-clip, clip]; None leaves it.
        kept: other tensors that `losses` changes in place.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        losses: Run,
        *,
        clip: float | None,
        kept: Sequence[Tensor] = (),
    ) -> None:
        learning = list(parameters.values())
        device = learning[0].device
        on_gpu = device.type == "cuda"
        # A graph knows tensors and no numbers, so there the rate is a tensor.
        self._rate = torch.ones((), device=device) if on_gpu else None
        rate = 1.0 if self._rate is None else self._rate
        self.adam = torch.optim.Adam(learning, lr=rate, fused=True, capturable=on_gpu)
        for parameter in learning:
            # As Adam would at its first step. Fused Adam pairs a weight with its averages by their places in memory:
            # where the weights are laid out as channels_last, so are these. It wants its step count on the device.
            self.adam.state[parameter] = {
                "step": torch.zeros((), device=device),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
        left_out = torch.zeros((), device=device)  # 1 where this step is
        self.adam.found_inf = left_out  # pyright: ignore[reportAttributeAccessIssue]
        # Steps left out in all, in a row until now, and in the longest row.
        self._counts = torch.zeros(3, dtype=torch.int64, device=device)
        self._run: Run = partial(_learn, losses, learning, self.adam, clip, left_out, self._counts)
        if on_gpu:
            averages = [value for of_one in self.adam.state.values() for value in of_one.values()]
            changing = [*learning, *averages, *kept, left_out, self._counts]
            self._run = recorded(self._run, "training runs", changing)

    def __call__(self, rate: float, data: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """Learn from a step's data with this learning rate; the scalars of `losses`, valid until the next call."""
        if self._rate is None:
            self.adam.param_groups[0]["lr"] = rate
        else:
            self._rate.fill_(rate)
        return self._run(*data)

    def looked_at(self) -> tuple[int, int]:
        """How many steps were left out, and how many in the longest row of them; waits for the device."""
        undone, _, longest = self._counts.tolist()
        return undone, longest

    def go_on(self, undone: int) -> None:
        """Count on from so many steps that were left out before."""
        self._counts[0] = undone


def _learn(
    losses: Run,
    learning: list[nn.Parameter],
    adam: torch.optim.Adam,
    clip: float | None,
    left_out: Tensor,
    counts: Tensor,
    *data: Tensor,
) -> dict[str, Tensor]:
    """A step of learning in operations on tensors that keep their places, and no look at any of them."""
    values = losses(*data)
    adam.zero_grad(set_to_none=True)
    values["loss"].backward()
    norm = nn.utils.get_total_norm([p.grad for p in learning if p.grad is not None])
    left_out.copy_(~torch.isfinite(values["loss"].detach() + norm))
    if clip is not None:
        nn.utils.clip_grad_value_(learning, clip)
    adam.step()
    undone, in_a_row, longest = counts.unbind()
    bad = left_out.long()
    undone.add_(bad)
    in_a_row.add_(1).mul_(bad)
    longest.copy_(torch.maximum(longest, in_a_row))
    return {name: value.detach() for name, value in values.items()}
