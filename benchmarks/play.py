"""Measure `worldmodels play` as its user meets it, in headless Chromium on this machine; take the pictures of docs/.

.venv/bin/python benchmarks/play.py RUN                                   the figures, as one JSON object
.venv/bin/python benchmarks/play.py RUN --pictures docs/pictures          and a picture of every screen, and the film
.venv/bin/python benchmarks/play.py RUN --site site                       and the exported page's figures
.venv/bin/python benchmarks/play.py RUN --minutes 60                      and how memory grows while somebody plays
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import io
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from sentences import in_a_sentence
from small_pictures import save_film, save_shot
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from worldmodels.bench.browser import find_chromium
from worldmodels.runs.machine import machine

SESSIONS, SECONDS, KEYS = 8, 10.0, 20
FILM_SECONDS, FILM_RATE, FILM_WIDTH = 5.0, 10, 600


@contextmanager
def playing(run: str) -> Iterator[tuple[str, int]]:
    """A server of the run: its address and its process."""
    command = [sys.executable, "-m", "worldmodels.cli", "play", run, "--no-browser", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        said = server.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found, f"the server said {said!r}"
        yield found[0], server.pid
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def static_host(site: Path) -> Iterator[str]:
    """The folder as any static host serves it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def until(page: Page, condition: str, timeout: float = 60) -> None:
    """Wait until a JavaScript expression is true."""
    end = time.monotonic() + timeout
    while not page.evaluate(f"() => window.worldmodelsDebug && ({condition})"):
        if time.monotonic() > end:
            raise TimeoutError(condition)
        time.sleep(0.01)


def opened(browser: Browser, address: str, dark: bool = True, phone: bool = False) -> tuple[Page, float]:
    """The page in a browser without any memory, and the seconds until its first picture."""
    page = browser.new_context(
        viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 800},
        color_scheme="dark" if dark else "light",
        has_touch=phone,
        is_mobile=phone,
    ).new_page()
    began = time.monotonic()
    page.goto(address)
    until(page, "worldmodelsDebug.framesDrawn > 0")
    return page, time.monotonic() - began


def pace(page: Page) -> float:
    """Pictures drawn in a second."""
    time.sleep(2)  # until the browser has compiled what it runs
    drawn = []
    for _ in range(2):
        drawn.append((page.evaluate("() => worldmodelsDebug.framesDrawn"), time.monotonic()))
        if len(drawn) == 1:
            time.sleep(SECONDS)
    (first, began), (last, ended) = drawn
    return (last - first) / (ended - began)


def key_times(page: Page) -> list[float]:
    """Milliseconds from a key to the first picture that obeys it."""
    before = len(page.evaluate("() => worldmodelsDebug.keyLatencies"))
    rng = np.random.default_rng(0)
    for number in range(KEYS):
        key = ("ArrowLeft", "ArrowRight")[number % 2]
        page.keyboard.down(key)
        time.sleep(0.15 + 0.05 * rng.random())
        page.keyboard.up(key)
        time.sleep(0.1 + 0.05 * rng.random())
    return page.evaluate("() => worldmodelsDebug.keyLatencies")[before:]


def sessions_at_once(address: str) -> list[float]:
    """Frames a second of each of several sessions, all dreaming."""
    counts = [0] * SESSIONS
    start = threading.Barrier(SESSIONS)

    def play(number: int) -> None:
        with connect(address.replace("http", "ws") + "ws", compression=None, max_size=None) as socket:
            socket.recv()
            socket.send(json.dumps({"type": "drive", "who": "controller"}))
            start.wait()
            end = time.monotonic() + SECONDS
            try:
                while time.monotonic() < end:
                    data = socket.recv(5)
                    if isinstance(data, bytes):
                        size = int.from_bytes(data[:4], "little")
                        header = json.loads(data[4 : 4 + size])
                        socket.send(json.dumps({"type": "ack", "n": header["n"]}))
                        counts[number] += 1
                        if header["ended"]:
                            socket.send(json.dumps({"type": "restart", "seed": None}))
            except (ConnectionClosed, TimeoutError):
                counts[number] = -1

    threads = [threading.Thread(target=play, args=(number,)) for number in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [count / SECONDS for count in counts]


def resident_mb(process: int) -> float:
    """Memory of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def memory_while_playing(page: Page, process: int, minutes: float) -> dict[str, float]:
    """Growth of the server's memory while C drives, dream after dream, from the first minute on."""
    page.keyboard.press("c")
    began, first = time.monotonic(), 0.0
    while (passed := time.monotonic() - began) < minutes * 60:
        if page.evaluate("() => worldmodelsDebug.lastHeader.ended"):
            page.keyboard.press("r")
        if passed >= 60 and not first:
            first = resident_mb(process)
        time.sleep(1)
    last = resident_mb(process)
    return {"minutes": minutes, "first_mb": first, "last_mb": last, "growth_mb": last - first}


def take_pictures(browser: Browser, address: str, folder: Path) -> None:
    """Every screen, small, and the film of the dream screen."""
    page, _ = opened(browser, address)
    page.keyboard.press("c")
    film(page, folder / "play.gif")
    page.keyboard.press("r")
    page.keyboard.press("c")
    page.locator("#predicts summary").click()
    until(page, "worldmodelsDebug.lastHeader.tick > 30 && worldmodelsDebug.lastHeader.tick < 200")
    page.evaluate("() => scrollTo(0, 0)")
    save_shot(page.screenshot(), folder / "play-dream.png")
    page.keyboard.press("2")
    until(page, "worldmodelsDebug.lastHeader.screen === 'compare'")
    if page.evaluate("() => worldmodelsDebug.lastHeader.who") == "you":
        page.keyboard.press("c")
    until(page, "worldmodelsDebug.lastHeader.branched && worldmodelsDebug.lastHeader.tick > "
                "worldmodelsDebug.lastHeader.branched + 60")  # fmt: skip
    save_shot(page.screenshot(), folder / "play-compare.png")
    page.keyboard.press("3")
    page.locator("#examples button").nth(3).click()
    until(page, "worldmodelsDebug.lastHeader.kind === 'encoded'")
    time.sleep(1)
    save_shot(page.screenshot(), folder / "play-latents.png")
    page.keyboard.press("4")
    until(page, "worldmodelsDebug.lastHeader.screen === 'cheating' && worldmodelsDebug.lastHeader.tick > 120")
    save_shot(page.screenshot(), folder / "play-cheating.png")
    phone, _ = opened(browser, address, dark=False, phone=True)
    time.sleep(3)
    save_shot(phone.screenshot(), folder / "play-phone.png")


def film(page: Page, path: Path) -> None:
    """The page for some seconds: C drives, then arrow keys take the wheel."""
    until(page, "worldmodelsDebug.lastHeader.tick > 3")
    shots: list[tuple[float, bytes]] = []
    client = page.context.new_cdp_session(page)

    def keep(event: dict[str, Any]) -> None:
        shots.append((event["metadata"]["timestamp"], base64.b64decode(event["data"])))
        client.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    client.on("Page.screencastFrame", keep)
    client.send("Page.startScreencast", {"format": "jpeg", "quality": 92, "maxWidth": 1280, "maxHeight": 800})
    page.wait_for_timeout(FILM_SECONDS * 1000)
    for key, seconds in (("ArrowRight", 0.25), ("ArrowLeft", 0.25), ("ArrowUp", 0.4)):
        page.keyboard.down(key)
        page.wait_for_timeout(seconds * 1000)
        page.keyboard.up(key)
    client.send("Page.stopScreencast")
    begin, times = shots[0][0], np.array([at for at, _ in shots])
    chosen = [
        int(np.searchsorted(times, begin + i / FILM_RATE, side="right")) - 1
        for i in range(int((times[-1] - begin) * FILM_RATE))
    ]
    pictures = [Image.open(io.BytesIO(shots[i][1])).convert("RGB") for i in chosen]
    save_film(pictures, path, FILM_WIDTH, FILM_RATE)


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--site", type=Path)
    parser.add_argument("--minutes", type=float, default=0.0)
    asked = parser.parse_args()
    chromium = find_chromium()
    figures: dict[str, Any] = {"machine": machine(), "run": Path(asked.run).name}
    with sync_playwright() as playwright, playing(asked.run) as (address, process):
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--mute-audio"]
        )
        page, figures["page_ready_s"] = opened(browser, address)
        figures["frames_per_s"] = pace(page)
        times = key_times(page)
        figures["key_to_picture_ms"] = {
            "keys": len(times), "median": float(np.median(times)), "p95": float(np.quantile(times, 0.95))
        }  # fmt: skip
        page.context.close()
        figures["sessions_frames_per_s"] = sessions_at_once(address)
        if asked.minutes:
            page, _ = opened(browser, address)
            figures["memory"] = memory_while_playing(page, process, asked.minutes)
            page.context.close()
        if asked.site:
            with static_host(asked.site) as host:
                page, ready = opened(browser, host)
                figures["export"] = {"page_ready_s": ready, "frames_per_s": pace(page)}
                page.context.close()
        if asked.pictures:
            asked.pictures.mkdir(parents=True, exist_ok=True)
            take_pictures(browser, address, asked.pictures)
        browser.close()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    in_a_sentence(main)
