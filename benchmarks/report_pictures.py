"""The README's pictures of a run, out of its report, in headless Chromium.

.venv/bin/python benchmarks/report_pictures.py RUN --out docs/pictures

evolution.png: how C learnt, round after round; gap.png: each round's C in its dream and in the game; strip.png: actual,
V's reconstruction and the dream; drive.gif: the last seconds of the drive in the report.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import av
from sentences import in_a_sentence
from small_pictures import save_film, save_shot

from worldmodels.bench.browser import find_chromium
from worldmodels.errors import UserError
from worldmodels.pipeline.work import open_run
from worldmodels.runs.folder import RunFolder

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTH = 900  # of the page, in pixels
SECONDS, FILM_WIDTH = 8.0, 240  # of the film


def take(browser: Browser, run: RunFolder, out: Path) -> list[Path]:
    """Write the pictures that the run's report has into `out` and return their paths. UserError without a report."""
    if not run.report.exists():
        raise UserError(f"{run.report} not found; run `worldmodels report {run.path}` first")
    out.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": WIDTH, "height": 800}, color_scheme="light")
    page.goto(run.report.resolve().as_uri())
    written = []
    for name, heading in (("evolution", "How C learnt"), ("gap", "Dream against actual")):
        section = page.locator("section", has=page.get_by_role("heading", name=heading, exact=True))
        chart = section.locator("figure.chart" + (".full" if name == "evolution" else "")).filter(
            has=page.locator("svg"), has_text=None if name == "evolution" else heading
        )
        if chart.count():
            written.append(out / f"{name}.png")
            save_shot(chart.first.screenshot(), written[-1])
    page.close()
    if run.media("strip.png").exists():
        written.append(Path(shutil.copyfile(run.media("strip.png"), out / "strip.png")))
    if run.media("drive.mp4").exists():
        written.append(out / "drive.gif")
        film(run.media("drive.mp4"), written[-1])
    return written


def film(drive: Path, path: Path) -> None:
    """The end of a video as a small animated GIF."""
    with av.open(str(drive)) as video:
        stream = video.streams.video[0]
        rate = float(stream.average_rate or 25)
        frames = [frame.to_image() for frame in video.decode(video=0)][-round(SECONDS * rate) :]
    save_film(frames, path, FILM_WIDTH, rate)


def main() -> None:
    """Take them, and print where they are."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    run = open_run(RunFolder(asked.run), "cpu").run
    chromium = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for path in take(browser, run, asked.out):
            print(path)
        browser.close()


if __name__ == "__main__":
    in_a_sentence(main)
