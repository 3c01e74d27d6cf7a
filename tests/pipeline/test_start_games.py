"""A run that takes V and the games of another one, for an M and a C of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from worldmodels.cli import main
from worldmodels.memory.train import read_memory
from worldmodels.pipeline.frames import count_frames
from worldmodels.pipeline.start import taken
from worldmodels.pipeline.work import open_run
from worldmodels.report.data import read_run
from worldmodels.runs.files import read_json
from worldmodels.runs.folder import RunFolder


@pytest.fixture(scope="module")
def another_memory(begun_at_toy: Callable[..., Path]) -> Path:
    """A run that takes V and the games of the small one, and has an M of another size; not to be written to."""
    taken_from_it = (
        "--start-with",
        "vision",
        "--collect.exploration",
        "start",
        "--mdn-rnn.hidden-size",
        "24",
    )
    return begun_at_toy(*taken_from_it, "--rounds.vision-steps", "0", "--rounds.memory-steps", "20")


def test_with_v_alone_m_and_c_begin_at_nothing(toy_run: Path, another_memory: Path):
    assert sorted(path.name for path in (another_memory / "start").iterdir()) == [
        "record.json",
        "vision.safetensors",
    ]
    source = (toy_run / "vision/round-01.safetensors").read_bytes()
    assert (another_memory / "vision/round-00.safetensors").read_bytes() == source
    assert read_memory(another_memory / "memory/round-00.safetensors", None)[0].config.hidden_size == 24
    record = read_json(another_memory / "start/record.json")
    assert (record["with_m"], record["with_c"], record["with_games"]) == (False, False, True)
    assert taken(record) == "V and the games"


def test_the_games_of_the_start_are_those_of_the_first_round(toy_run: Path, another_memory: Path):
    ours, theirs = open_run(RunFolder(another_memory)), open_run(RunFolder(toy_run))
    games = [(r, index) for r in range(2) for index in theirs.store(r).indices()]
    assert ours.store(0).indices() == list(range(len(games)))
    mirrored_too = theirs.experiment.mirror
    for number, (r, index) in enumerate(games):
        assert ours.store(0).path(number).samefile(theirs.store(r).path(index))
        for end in ("", "-mirrored") if mirrored_too else ("",):
            encoded = ours.store(0).path(number).name
            here = another_memory / f"latents/round-00{end}" / encoded
            there = toy_run / f"latents/round-{r:02d}{end}" / theirs.store(r).path(index).name
            assert here.samefile(there), "what V made of it is not made again"
    first = ours.latents(0, with_mirrored=False)
    assert len(first) == len(games)


def test_their_frames_are_counted_once(toy_run: Path, another_memory: Path):
    work, before = open_run(RunFolder(another_memory)), read_run(RunFolder(toy_run)).frames
    assert before is not None
    assert count_frames(work, 0) == before
    own = sum(work.store(1).game_steps(index) for index in work.store(1).indices())
    assert own > 0
    assert count_frames(work, 1) == before + own


def test_games_that_were_taken_half_way_are_taken_to_the_end(another_memory: Path, tmp_path: Path):
    run = Path(shutil.copytree(another_memory, tmp_path / "run"))
    lost = run / "rollouts/round-00/episode-00001.npz"
    whole = lost.read_bytes()
    lost.unlink()
    (run / "latents/round-00/episode-00001.npz").unlink()
    assert main(["train", "toy", "--run", str(run)]) == 0
    assert lost.read_bytes() == whole
    assert (run / "latents/round-00/episode-00001.npz").exists()
