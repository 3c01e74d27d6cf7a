"""What would write to a release works in a copy of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from worldmodels.cli import main
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.lock import locked

SHORT = ["--temperatures", "0.5", "--generations", "2", "--episodes", "1", "--meter", "0"]


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder people type in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_release_is_swept_in_a_copy_and_stays_as_it_is(offered: Path, desk: Path, capsys):
    before = contents(offered)
    assert main(["sweep", "pretrained:toy", *SHORT]) == 0
    said = capsys.readouterr()
    assert "a copy of toy is in runs/pretrained-toy" in said.err
    assert said.out.startswith("tau")
    copy = RunFolder(desk / "runs/pretrained-toy")
    assert [cell["temperature"] for cell in json.loads(copy.sweep.read_text())["cells"]] == [0.5]
    assert copy.report.exists()
    assert copy.media("cheating.mp4").exists()
    assert contents(offered) == before
    assert {name: contents(copy.path)[name] for name in before} == before, "what it was made of stays too"
    assert not list(desk.glob("runs/*.tmp"))

    assert main(["sweep", "pretrained:toy", *SHORT]) == 0
    assert "a copy of" not in capsys.readouterr().err, "it goes on in the one there is"
    assert main(["sweep", "runs/pretrained-toy", *SHORT]) == 0, "which is a run as others are"


def test_two_do_not_make_the_same_copy_at_once(offered: Path, desk: Path, capsys):
    with locked(desk / "runs/pretrained-toy.tmp"):
        assert main(["report", "pretrained:toy"]) == 2
    assert "pretrained-toy.tmp is in use by process" in capsys.readouterr().err
    left = desk / "runs/pretrained-toy.tmp/whole/half-a-file"  # by one that was killed
    left.parent.mkdir()
    left.touch()
    assert main(["sweep", "pretrained:toy", *SHORT]) == 0
    assert not list(desk.glob("runs/*.tmp"))
    assert not (desk / "runs/pretrained-toy/half-a-file").exists()


def test_a_copy_is_not_trained_on(offered: Path, desk: Path, capsys):
    assert main(["sweep", "pretrained:toy", "--run", "mine", *SHORT]) == 0
    for command in (["train", "toy", "--run", "mine"], ["memory", "mine"], ["evolve", "mine"]):
        assert main(command) == 2
        assert (
            "mine is a release, which is there to be used and not to be trained on" in capsys.readouterr().err
        )
    assert main(["evolve", "mine", "--temperature", "0.7", "--generations", "2", "--episodes", "1"]) == 0
    assert RunFolder(desk / "mine").temperature_score(1, 0.7).exists()


def test_the_report_of_a_release_is_drawn_from_games_that_it_plays(offered: Path, desk: Path, capsys):
    before = contents(offered)
    assert main(["report", "pretrained:toy"]) == 0
    copy = RunFolder(desk / "runs/pretrained-toy")
    assert capsys.readouterr().out == "runs/pretrained-toy/report.html\n"
    page = copy.report.read_text()
    assert page.count("data:video/mp4") >= 2
    assert "data:image/png" in page
    assert contents(offered) == before
    drawn = copy.media("drive.mp4").stat().st_mtime_ns
    assert main(["report", "runs/pretrained-toy"]) == 0
    assert copy.media("drive.mp4").stat().st_mtime_ns == drawn, "what is drawn is not drawn again"
    copy.media("strip.png").unlink()  # as when the drawing was killed halfway
    assert main(["report", "runs/pretrained-toy"]) == 0
    assert copy.media("strip.png").exists()


def test_damaged_releases_and_copies_say_so(offered: Path, desk: Path, capsys):
    assert main(["report", "pretrained:toy"]) == 0
    copy = RunFolder(desk / "runs/pretrained-toy")
    copy.copied.write_text('{"release"')
    capsys.readouterr()
    assert main(["sweep", "pretrained:toy"]) == 2
    said = capsys.readouterr().err
    assert "copied.json" in said
    assert said.count("\n") == 1
    damaged = desk / "damaged"
    shutil.copytree(offered, damaged)
    starts = RunFolder(damaged).starts
    starts.write_bytes(starts.read_bytes()[:100])
    assert main(["sweep", "damaged"]) == 2
    said = capsys.readouterr().err
    assert "starts.safetensors" in said
    assert said.count("\n") == 1
    assert not (desk / "runs/pretrained-damaged").exists()


def test_a_folder_that_is_something_else_is_left_alone(offered: Path, desk: Path, capsys):
    (desk / "runs/pretrained-toy").mkdir(parents=True)
    (desk / "runs/pretrained-toy/note.txt").write_text("mine")
    assert main(["report", "pretrained:toy"]) == 2
    assert "runs/pretrained-toy exists and is not a copy of toy" in capsys.readouterr().err
    (desk / "runs/pretrained-toy/copied.json").write_text('{"release": "another"}')
    assert main(["sweep", "pretrained:toy"]) == 2
    assert "is a copy of another release; delete it, or choose another --run" in capsys.readouterr().err
    assert sorted(path.name for path in (desk / "runs").rglob("*")) == [
        "copied.json",
        "note.txt",
        "pretrained-toy",
    ]


def test_the_table_of_a_run_is_gone_on_with_in_a_copy_of_its_release(toy_copy: Path, desk: Path):
    """V and M of the release are others, halved, and its table names them."""
    assert main(["sweep", str(toy_copy), *SHORT]) == 0
    assert main(["release", str(toy_copy), "--name", "tabled", "--out", "shelf"]) == 0
    assert main(["sweep", "shelf/tabled", "--temperatures", "0.3", *SHORT[2:]]) == 0
    copy = RunFolder(desk / "runs/pretrained-tabled")
    assert [cell["temperature"] for cell in json.loads(copy.sweep.read_text())["cells"]] == [0.3, 0.5]


def test_a_release_is_ablated_where_one_says(offered: Path, desk: Path):
    short = [
        "--features",
        "z",
        "--generations",
        "1",
        "--population",
        "4",
        "--horizon",
        "5",
        "--episodes",
        "1",
    ]
    assert main(["ablate", "pretrained:toy", "--run", "mine", *short]) == 0
    assert [
        cell["features"] for cell in json.loads(RunFolder(desk / "mine").ablation.read_text())["cells"]
    ] == ["z"]


def test_another_folder_is_for_what_is_copied(toy_run: Path, desk: Path, capsys):
    assert main(["ablate", str(toy_run), "--run", "mine"]) == 2
    assert (
        f"--run is where a release is copied to, and {toy_run} is none: leave it out"
        in capsys.readouterr().err
    )
    assert not (desk / "mine").exists()
