"""The scripts in benchmarks/, which are no package."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """script("ppo"): a script as a module; what it needs of those beside it is found."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module
