"""What holds for every test: its share of the cores, hypothesis's examples, the same everywhere, and one browser."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from worldmodels.rollouts.latents import LatentEpisode

# Processes that test share the cores, and so do the programs that they start. PyTorch's threads wait for each other at
# every operation: with more threads than cores all are several times slower. It is read when torch is imported.
TESTERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if TESTERS > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // TESTERS)))

settings.register_profile("worldmodels", deadline=None, derandomize=True, database=None)
settings.load_profile("worldmodels")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


class RandomLatents(Protocol):
    """random_latents(length, seed=0, terminated=True): an episode of noise with 4 latents and 2 actions."""

    def __call__(self, length: int, seed: int = 0, terminated: bool = True) -> LatentEpisode: ...


@pytest.fixture(scope="session")
def random_latents() -> RandomLatents:
    from worldmodels.rollouts.latents import LatentEpisode

    def make(length: int, seed: int = 0, terminated: bool = True) -> LatentEpisode:
        rng = np.random.default_rng(seed)
        mu, logvar = rng.normal(size=(2, length + 1, 4)).astype(np.float32)
        actions = rng.uniform(-1, 1, (length, 2)).astype(np.float32)
        return LatentEpisode(mu, logvar, actions, rng.normal(size=length).astype(np.float32), terminated)

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium, without a window. One for all: playwright allows no second in a process."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium, or set CHROMIUM to its path")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--mute-audio"]
        running = playwright.chromium.launch(executable_path=program, args=flags)
        yield running
        running.close()


@pytest.fixture(scope="session")
def one_thread() -> Callable[[], AbstractContextManager[None]]:
    """`with one_thread():` sums do not depend on how many threads share them, and tests do not wait for cores."""
    import torch

    @contextmanager
    def computing() -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    return computing


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """script("ppo"): one of benchmarks/, no package, as a module; what it needs of those beside it is found."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module
