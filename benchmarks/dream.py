"""How many ticks a second M dreams on this processor, plain and compiled, and how near that is to its matrix products.

    python benchmarks/dream.py                  # the sizes of CarRacing and of Take Cover
    python benchmarks/dream.py --dreams 1024
    python benchmarks/dream.py --busy           # one thread and its processor time, on a machine that has other work

The floor is the time of the tick's two matrix products alone, by the same library and of the same shapes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.worlds.dream import DreamConfig, DreamWorld
from worldmodels.worlds.starts import Starts

SIZES = {
    "CarRacing": MDNRNNConfig(predicts_reward=True, predicts_end=True),
    "Take Cover": MDNRNNConfig(64, 1, 512, predicts_end=True, restart_flag=True),
}
ROUNDS, SECONDS = 9, 0.15  # the best of so many rounds of so many seconds


Clock = Callable[[], float]


def best(work: Callable[[], Any], clock: Clock) -> float:
    """Seconds a call takes when nothing else is in its way."""
    work()
    found = []
    for _ in range(ROUNDS):
        began, calls = clock(), 0
        while clock() - began < SECONDS:
            work()
            calls += 1
        found.append((clock() - began) / calls)
    return min(found)


def peak(clock: Clock) -> float:
    """Operations a second of a large single-precision matrix product."""
    square = torch.randn(2048, 2048)
    return 2 * 2048**3 / best(lambda: square @ square, clock)


def world_of(config: MDNRNNConfig) -> DreamWorld:
    """Dreams of an untrained M."""
    torch.manual_seed(0)
    model = MDNRNN(config).requires_grad_(False)
    z, memory = torch.randn(2, 64, config.latent_size), torch.randn(2, 64, config.hidden_size)
    starts = Starts(z[0], z[1] - 2, memory[0].tanh(), memory[1], openings=32)
    return DreamWorld(model, starts, DreamConfig(temperature=1.15, horizon=1_000_000))


def floor(config: MDNRNNConfig, dreams: int, clock: Clock) -> float:
    """Seconds of a tick's matrix products."""
    inputs = torch.randn(dreams, config.input_size + config.hidden_size)
    gates = torch.randn(inputs.shape[1], 4 * config.hidden_size)
    hidden = torch.randn(dreams, config.hidden_size)
    head = torch.randn(config.hidden_size, config.output_size)
    return best(lambda: (inputs @ gates, hidden @ head), clock)


def tick_seconds(world: DreamWorld, dreams: int, clock: Clock) -> float:
    """Seconds of a tick of so many dreams."""
    actions = torch.zeros(dreams, world.model_config.action_size)
    world.reset(range(dreams))
    return best(lambda: world.step(actions), clock)


@torch.no_grad()
def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--dreams", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--busy", action="store_true")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.busy else time.perf_counter
    if arguments.busy:
        torch.set_num_threads(1)
    print(
        f"{torch.get_num_threads()} threads, matrix products of {peak(clock) / 1e9:.0f} GFLOP/s", flush=True
    )
    print("M            dreams      floor      plain   compiled   gain  of floor  k ticks/s")
    for name, config in SIZES.items():
        plain, fast = world_of(config), world_of(config)
        began = clock()
        fast.compile()
        compiling = clock() - began
        for dreams in arguments.dreams:
            least = floor(config, dreams, clock)
            slow, quick = tick_seconds(plain, dreams, clock), tick_seconds(fast, dreams, clock)
            milliseconds = "".join(f"{1e3 * value:>8.2f} ms" for value in (least, slow, quick))
            print(
                f"{name:12}{dreams:>7}{milliseconds}{slow / quick:>6.2f}x{least / quick:>9.0%}"
                f"{dreams / quick / 1e3:>11.1f}",
                flush=True,
            )
        print(f"{name:12} compiled in {compiling:.1f} s")


if __name__ == "__main__":
    main()
