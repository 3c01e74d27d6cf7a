"""One small run of the toy game, trained once and shared by all tests that only look at it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from worldmodels.cli import main
from worldmodels.evolution import evolve
from worldmodels.runs import folder

# As small as a run can be that still does everything: two rounds, each of which trains V, M and C.
SETTINGS: dict[str, tuple[int, ...]] = {
    "rounds.count": (2,),
    "rounds.vision-steps": (12, 4),
    "rounds.memory-steps": (40, 20),
    "rounds.generations": (12, 6),
    "collect.first-episodes": (16,),
    "collect.first-ticks": (24,),
    "collect.batch": (8,),
    "collect.trials": (3,),
    "collect.episodes": (3,),
    "vision.batch-size": (8,),
    "mdn-rnn.hidden-size": (16,),
    "memory.batch-size": (8,),
    "dream.starts": (16,),
    "evolution.population": (8,),
    "evolution.repeats": (2,),
    "evaluation.episodes": (3,),
    "evaluation.random-episodes": (3,),
    "evaluation.dream-episodes": (4,),
    "evaluation.trial-episodes": (2,),
}
TINY = [word for name, numbers in SETTINGS.items() for word in (f"--{name}", *map(str, numbers))]
TIMES = {"seconds", "steps_per_second"}


OneThread = Callable[[], contextlib.AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def _one_thread(one_thread: OneThread) -> Iterator[None]:
    """Runs that are compared bit for bit: their sums depend on how many threads share them."""
    with one_thread():
        yield


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Options of `worldmodels train toy` for the small run."""
    return TINY


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory, one_thread: OneThread) -> Path:
    """Folder of the finished small run; not to be written to."""
    run = tmp_path_factory.mktemp("runs") / "toy"
    with one_thread():
        assert main(["train", "toy", "--run", str(run), *TINY]) == 0
    return run


@pytest.fixture(scope="session")
def begun_at_toy(
    toy_run: Path, tmp_path_factory: pytest.TempPathFactory, one_thread: OneThread
) -> Callable[..., Path]:
    """begun_at_toy(*options): another small run that begins at that one, trained to its end."""

    def trained(*options: str) -> Path:
        run = tmp_path_factory.mktemp("start") / "run"
        with one_thread():
            assert main(["train", "toy", "--run", str(run), *TINY, "--start", str(toy_run), *options]) == 0
        return run

    return trained


@pytest.fixture
def toy_copy(toy_run: Path, tmp_path: Path) -> Path:
    """A copy of it to do damage to."""
    return Path(shutil.copytree(toy_run, tmp_path / "copy"))


@pytest.fixture(scope="session")
def results() -> Callable[[Path], dict[str, Any]]:
    """results(run): everything in a run folder that its seed decides, by path. Times are left out."""

    def read(run: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in sorted(path for path in run.rglob("*") if path.is_file()):
            name = path.relative_to(run).as_posix()
            if name == "experiment.json":
                found[name] = json.loads(path.read_text())["experiment"] | {"save_every": "any"}
            elif path.parent.name == "evaluation":
                found[name] = {k: v for k, v in json.loads(path.read_text()).items() if k not in TIMES}
            elif path.suffix == ".mp4":
                found[name] = "a film"
            elif name not in (".lock", "report.html", "metrics/stages.jsonl") and "tensorboard" not in name:
                found[name] = path.read_bytes()
        return found

    return read


@pytest.fixture(scope="session")
def shelf(toy_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the release `toy`; not to be written to."""
    out = tmp_path_factory.mktemp("shelf")
    assert main(["release", str(toy_run), "--name", "toy", "--out", str(out)]) == 0
    return out


@pytest.fixture
def offered(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The release, as if it had come with the package."""
    monkeypatch.setattr(folder, "PRETRAINED", shelf)
    return shelf / "toy"


@pytest.fixture(scope="session")
def stop_at() -> Callable[[pytest.MonkeyPatch, int], None]:
    """stop_at(patch, generation): Ctrl-C in that generation, all evolutions counted together."""

    def patched(patch: pytest.MonkeyPatch, generation: int) -> None:
        play, played = evolve.returns, []

        def interrupted(*arguments: Any) -> Any:
            played.append(1)
            if len(played) == generation:
                raise KeyboardInterrupt
            return play(*arguments)

        patch.setattr(evolve, "returns", interrupted)

    return patched


@pytest.fixture(scope="session")
def change() -> Callable[[Path, Callable[[dict[str, Any]], None]], None]:
    """change(run, how): other settings for a run that was begun already."""

    def changed(run: Path, how: Callable[[dict[str, Any]], None]) -> None:
        record = json.loads((run / "experiment.json").read_text())
        how(record["experiment"])
        (run / "experiment.json").write_text(json.dumps(record))

    return changed
