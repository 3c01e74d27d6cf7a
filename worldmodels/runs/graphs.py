"""What a GPU does over and over, recorded as a CUDA graph and replayed: the same code, without Python in between."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

WARM_UP = 2  # runs before a recording, in which libraries choose and compile what they launch


def graph_of(once: Callable[[], None], work: str, kept: Sequence[Tensor] = ()) -> Callable[[], None]:
    """`once` as a CUDA graph; itself where it cannot be recorded, and one line on standard error.

    Args:
        once: works on tensors that keep their places in memory, and never looks at their values.
        work: what that is, for the line: "dreams run".
        kept: tensors that `once` changes and that shall be as they were: recording leaves no trace in them.
    """
    before = [tensor.detach().clone() for tensor in kept]
    side, here = torch.cuda.Stream(), torch.cuda.current_stream()
    side.wait_stream(here)
    with torch.cuda.stream(side):  # as PyTorch wants it before a capture
        for _ in range(WARM_UP):
            once()
    here.wait_stream(side)
    with torch.no_grad():
        for tensor, value in zip(kept, before, strict=True):
            tensor.copy_(value)
    graph = torch.cuda.CUDAGraph()
    try:
        # Other threads may allocate meanwhile: the one that makes batches does.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            once()
    except RuntimeError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(f"worldmodels: {work} without CUDA graphs, slower: {reason}", file=sys.stderr)
        return once
    return graph.replay


def recorded(
    function: Callable[..., Mapping[str, Tensor]], work: str, kept: Sequence[Tensor]
) -> Callable[..., Mapping[str, Tensor]]:
    """A function of tensors on a GPU as CUDA graphs, one for each set of their shapes, recorded when first met.

    What it returns is valid until the next call. For `work` and `kept` see `graph_of`.
    """
    recordings: dict[tuple[object, ...], tuple[list[Tensor], dict[str, Tensor], Callable[[], None]]] = {}

    def run(*given: Tensor) -> Mapping[str, Tensor]:
        key = tuple((part.shape, part.dtype) for part in given)
        if key not in recordings:
            places, found = [part.clone() for part in given], dict[str, Tensor]()

            def once() -> None:
                found.update(function(*places))

            recordings[key] = places, found, graph_of(once, work, kept)
        places, found, replay = recordings[key]
        for place, part in zip(places, given, strict=True):
            place.copy_(part)
        replay()
        return found

    return run
