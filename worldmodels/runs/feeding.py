"""Batches on their way to a GPU while nobody waits: through pinned memory, and made one step ahead where need be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from worldmodels.runs.seeds import torch_stream

T = TypeVar("T")
Make = Callable[[int], Sequence[Tensor]]  # the batch of a step


def fits_on_gpu(size: int, device: torch.device) -> bool:
    """Whether so many bytes are at most half of what is free on a GPU; never on a CPU, where they are anyway."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    # What PyTorch holds for later is free too.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return size <= free // 2


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; whoever sends it does not wait for its arrival."""
    if tensor.device.type == device.type:
        return tensor
    return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)


@contextmanager
def fed(make: Make, device: torch.device, steps: int, *, ahead: bool) -> Iterator[Make]:
    """The batches of `make` on `device`, for a training of so many steps.

    Args:
        make: what a batch is made by; its tensors are here or on `device` already.
        ahead: whether it is made in a background thread while the step before is under way.
    """
    if not ahead:
        yield lambda step: [sent(part, device) for part in make(step)]
        return

    def pinned(step: int) -> Sequence[Tensor]:
        return [part.pin_memory() if device.type == "cuda" else part for part in make(step)]

    with one_ahead(pinned, steps) as made:
        yield lambda step: [sent(part, device) for part in made(step)]


def noisy(make: Make, shape: Sequence[int], device: torch.device, seed: int, *names: str | int) -> Make:
    """The batches of `make`, each with standard normal noise of this shape behind it.

    The noise of a step is drawn on `device`, from the stream called `names` and the step.
    """

    def made(step: int) -> Sequence[Tensor]:
        generator = torch_stream(seed, *names, step, device=device)
        return [*make(step), torch.randn(*shape, generator=generator, device=device)]

    return made


@contextmanager
def one_ahead(make: Callable[[int], T], steps: int) -> Iterator[Callable[[int], T]]:
    """`make`, which begins with the next of `steps` steps, in a thread of its own, when it is asked for one.

    All calls are made in that thread, one after the other. It ends with the block.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as thread:
        begun: dict[int, Future[T]] = {}

        def made(step: int) -> T:
            this = begun.pop(step, None) or thread.submit(make, step)
            if step + 1 < steps:
                begun[step + 1] = thread.submit(make, step + 1)
            return this.result()

        yield made
