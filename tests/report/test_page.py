"""The page: whole, self-contained, safe, and patient with what is missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import pytest

from worldmodels.errors import UserError
from worldmodels.report import page
from worldmodels.report.page import write_report
from worldmodels.runs.folder import RunFolder

HEADINGS = [
    "How V sees", "What M expects", "Actual and dream, side by side", "How C learnt", "Scores",
    "Time and memory", "How it was made",
]  # fmt: skip
VOID = {"meta", "link", "img", "br", "path", "use"}


class Page(HTMLParser):
    """The elements of a page, and whether every one that was opened was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.open: list[str] = []
        self.text: dict[str, list[str]] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.setdefault(self.open[-1] if self.open else "", []).append(data)

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report(run: RunFolder) -> str:
    path = write_report(run)
    assert path == run.report
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole(example, tmp_path_factory) -> str:
    """The page of a finished run."""
    path = tmp_path_factory.mktemp("page") / "car"
    shutil.copytree(example, path)
    return report(RunFolder(path))


def test_a_finished_run_has_every_section_and_nothing_missing(whole):
    shown = Page(whole)
    assert shown.text["h2"] == HEADINGS
    assert 'class="missing"' not in whole
    assert "297" in shown.text["b"]
    assert "± 48" in shown.text["span"]
    words = " ".join(piece for pieces in shown.text.values() for piece in pieces)
    for something in (
        "906 ± 21",
        "−45",
        "640 frames/s",
        "812 MB",
        "2 min 2 s",
        "Example 9000",
        "rounds.horizons",
    ):
        assert something in words


def test_a_c_that_learnt_in_the_game_is_not_said_to_have_dreamt(finished, whole):
    assert "was evolved" in whole
    assert "generations in the game" not in whole
    content = json.loads(finished.experiment.read_text())
    content["experiment"]["rounds"] |= {"worlds": ["dream", "actual"], "searches": ["auto", "gradient"]}
    finished.experiment.write_text(json.dumps(content))
    shown = Page(report(finished))
    words = " ".join(" ".join(piece for pieces in shown.text.values() for piece in pieces).split())
    assert "learnt to act, by policy gradient, in the actual game" in words
    assert {"generations in the dream", "generations in the game"} <= set(shown.text["dt"])
    assert "the best individual or episode with noise of a generation;" in words
    charts = [svg["aria-label"] for svg in shown.all("svg") if "How C learnt" in svg["aria-label"]]
    assert len(charts) == 2, "a wide one and a narrow one"
    assert all("in the dream and in the game" in chart for chart in charts)


def test_a_c_that_is_the_mean_of_several_searches_is_said_to_be(finished, whole):
    assert "is the mean of the Cs" not in whole
    content = json.loads(finished.experiment.read_text())
    content["experiment"]["rounds"] |= {"ensemble": [1, 3]}
    finished.experiment.write_text(json.dumps(content))
    page = report(finished)
    words = " ".join(" ".join(piece for pieces in Page(page).text.values() for piece in pieces).split())
    assert "The C of round 1 is the mean of the Cs of 3 searches, of which the first is shown." in words
    assert "40" in Page(page).text["dd"], "generations of all searches: 10, and three times 10"


@pytest.mark.parametrize(
    ("strange", "steps"),
    [({"standard_error": -1.0, "std": -2.0}, [0, 1, 2]), ({"scores": [1e20] * 9}, [0, 5, 2])],
    ids=["a negative error", "scores too large for bins, steps out of order"],
)
def test_numbers_that_nobody_would_write_do_not_stop_it(finished, strange, steps):
    for path in (finished.evaluation("actual"), finished.evaluation("round-01")):
        content = json.loads(path.read_text())
        content.get("actual", content).update(strange)
        path.write_text(json.dumps(content))
    lines = [json.dumps({"step": s, "best": 1.0, "mean": 0.0, "worst": -1.0, "sigma": 0.1}) for s in steps]
    finished.metrics("evolve-01").write_text("\n".join(lines) + "\n")
    assert Page(report(finished)).text["h2"] == HEADINGS


def test_the_page_needs_nothing_else(whole):
    shown = Page(whole)
    for tag, attributes in shown.elements:
        for name in ("src", "href", "poster", "srcset", "data", "action"):
            value = attributes.get(name)
            if value is not None and not (tag == "a" and value == "https://worldmodels.github.io"):
                assert value.startswith(("data:", "#")), f"<{tag} {name}={value[:60]}>"
    without_media = re.sub(r"data:[a-z0-9/]+;base64,[A-Za-z0-9+/=]+", "", whole)
    assert re.findall(r"https?:", without_media) == ["https:"]
    assert "@import" not in whole
    assert len(whole) < 10_000_000


def test_pictures_and_videos_are_for_everybody(whole):
    shown = Page(whole)
    pictures, films, charts = shown.all("img"), shown.all("video"), shown.all("svg")
    assert (len(pictures), len(films), len(charts)) == (3, 3, 1 + 2 + 3 + 2 + 1 + 2)
    assert all(picture["alt"] for picture in pictures)
    for film in films:
        assert {"controls", "muted", "loop", "playsinline"} <= film.keys()
        assert film["aria-label"]
    for chart in charts:
        assert chart["role"] == "img"
        assert len(chart["aria-label"]) > 20
        assert "nan" not in chart["aria-label"]


def test_ids_are_unique_and_charts_take_their_colours_from_the_page(whole):
    ids = [attributes["id"] for _, attributes in Page(whole).elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for chart in re.findall(r"<svg.*?</svg>", whole, re.DOTALL):
        assert not re.search(r"#[0-9a-f]{6}\b", re.sub(r'(url\(#|href="#|id=")\w+', "", chart))
        assert "var(--" in chart
        assert "font-family" not in chart
        assert "<style" not in chart


def test_the_same_run_gives_the_same_page(finished, whole):
    again = report(finished)
    assert re.sub(r"\S*/car\b", "", again) == re.sub(r"\S*/car\b", "", whole)


def test_an_empty_folder_says_for_every_part_which_command_makes_it(tmp_path):
    text = report(RunFolder(tmp_path))
    assert Page(text).text["h2"] == HEADINGS
    commands = set(re.findall(r"<code>worldmodels (\w+)", text))
    assert commands == {"train", "vision", "memory", "evolve", "evaluate", "report"}


@pytest.mark.parametrize(
    "gone",
    [
        ("experiment.json", "media/drive.mp4", "metrics/evolve-00.jsonl", "evaluation/random.json"),
        ("metrics", "media/strip.png", "evaluation/round-00.json"),
        ("evaluation", "controller", "metrics/stages.jsonl", "metrics/memory-01.jsonl"),
    ],
)
def test_missing_parts_are_no_obstacle(finished, gone):
    for name in gone:
        path = finished.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    text = report(finished)
    assert Page(text).text["h2"] == HEADINGS
    assert 'class="missing"' in text


def test_logs_without_any_number(finished):
    for name in ("vision-00", "memory-00", "evolve-00"):
        lines = [json.loads(line) for line in finished.metrics(name).read_text().splitlines()]
        nothing = [{key: None if key != "step" else value for key, value in line.items()} for line in lines]
        finished.metrics(name).write_text("".join(json.dumps(line) + "\n" for line in nothing))
        other = finished.metrics(name.replace("00", "01"))
        other.unlink()
    assert "nan" not in re.sub(r"base64,\S+", "", report(finished))


def test_one_line_and_one_episode_are_enough(finished):
    for path in finished.metrics("x").parent.glob("*-0?.jsonl"):
        path.write_text(path.read_text().splitlines(keepends=True)[0])
    for name in ("actual", "random"):
        finished.evaluation(name).write_text(json.dumps({"mean": 0.0, "scores": [0.0]}))
    assert Page(report(finished)).text["h2"] == HEADINGS


HOSTILE = "</style></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}$\\frac{$\ud800"


def test_hostile_text_stays_text(tmp_path, finished):
    for kind in ("memory", "evolve"):
        finished.metrics(f"{kind}-00").unlink()
        finished.metrics(f"{kind}-01").unlink()
    experiment = json.loads(finished.experiment.read_text())
    experiment["experiment"] = {"game": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}}
    experiment |= {"machine": {HOSTILE: HOSTILE}, "versions": {"torch": HOSTILE}, "command": HOSTILE}
    finished.experiment.write_text(json.dumps(experiment))
    stage = {"stage": HOSTILE, "round": 0, "summary": HOSTILE, "unit": HOSTILE, "rate": 1.0, "seconds": 1.0}
    finished.metrics("stages").write_text(json.dumps(stage) + "\n")
    finished.metrics("vision-00").write_text(json.dumps({"step": 0, HOSTILE: 1.0}) + "\n")
    finished.evaluation("round-01").write_text("{" + HOSTILE.removesuffix("\ud800"))
    path = tmp_path / "<b onclick=alert(3)>&'\""
    finished.path.rename(path)
    text = report(RunFolder(path))
    shown = Page(text)
    assert len(shown.all("script")) == 1
    assert all(
        "onerror" not in attributes and "onclick" not in attributes for _, attributes in shown.elements
    )
    assert "7*7" in text
    assert len(shown.all("img")) == 3


def test_media_that_are_too_large_stay_outside(finished, monkeypatch):
    shutil.rmtree(finished.path / "metrics")
    shutil.rmtree(finished.path / "evaluation")
    monkeypatch.setattr(page, "LARGEST", 12_000)
    finished.media("drive.mp4").write_bytes(bytes(1_500_000))
    shown = report(finished)
    assert "drive.mp4 has 2 MB, too many for this page" in shown
    assert len(shown) < 500_000


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(UserError, match="worldmodels train car-racing --run"):
        write_report(RunFolder(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_the_report_never_loads_torch(finished):
    for path in finished.evaluation("x").parent.glob("r*.json"):
        path.unlink()
    code = """
import sys
from pathlib import Path
from worldmodels.report.page import write_report
from worldmodels.report.video import write_video
from worldmodels.runs.folder import RunFolder
write_report(RunFolder(Path(sys.argv[1])))
heavy = ("torch", "envpool", "tensorboard", "matplotlib.pyplot")
print([name for name in heavy if name in sys.modules])
"""
    command = [sys.executable, "-W", "error", "-c", code, str(finished.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
