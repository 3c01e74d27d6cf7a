"""The dream's tick compiled for the processor at hand: a few loops of vector instructions around two matrix products.

The compiler is PyTorch's, which writes C++ and calls the machine's own compiler. That takes half a minute the first
time and a few seconds when its cache on disk knows the tick, so only a long evolution asks for it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch

PAYS_FROM = (
    20_000_000  # ticks of an evolution whose dreams all last to the horizon; most last a fraction of it
)
PAYS_FROM_BY_GRADIENT = 2_000_000  # ticks of a learning by gradient, which are all dreamt
EXAMPLE = 512  # dreams in the batch that the compiler is shown; it is told that there may be more or fewer


def compiled(dream_on: Callable[..., Any], *example: Any) -> Callable[..., Any]:
    """`dream_on` compiled; itself where that fails, for want of a compiler say, and one line on standard error.

    The compiled one is for any number of dreams. It rounds otherwise than the plain one in the last digits, and gives
    the same numbers whenever it is given the same.

    Args:
        dream_on: a pure function whose last two arguments are a tuple of tensors and a tensor, with the batch as the
            first axis. example: arguments to compile it for, with EXAMPLE dreams.
    """
    # In this process: workers would outlive an interrupted training for a while.
    fast = torch.compile(dream_on, fullgraph=True, options={"compile_threads": 1})

    def dream_on_compiled(*arguments: Any) -> Any:
        *_, dreams, actions = arguments
        if len(actions) == 1:  # a size that compilers take for a constant, and would compile anew for
            return dream_on(*arguments)
        for tensor in (*dreams, actions):
            torch._dynamo.mark_dynamic(tensor, 0)
        return fast(*arguments)

    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of its own insides
            dream_on_compiled(*example)
    except Exception as error:  # whatever it is, the plain tick does the same
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(f"worldmodels: dreams run uncompiled, somewhat slower: {reason}", file=sys.stderr)
        return dream_on
    return dream_on_compiled
