"""How many pictures a second the page of `worldmodels export` dreams, in the machine's own Chromium.

The page's own worker does all of it: M's tick, V's decoder, C at the wheel, the picture handed to the page. It keeps
the game's time, so it is given a game of a million steps a second, and its timers do not wait. Nothing is drawn, which
is the work of the page's other thread, and no GPU is used: WebAssembly. As the demo holds its actions for four steps,
M ticks once for four pictures, three of which lie between two latents.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from worldmodels.bench.measurement import Budget, Measurement, quartiles
from worldmodels.envs.sweeper import start_sweeper
from worldmodels.errors import UserError
from worldmodels.export.runtime import FILES, PACKAGE, cache_folder

MODEL = "pretrained:car-racing-demo"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0  # seconds until the page has begun and said what it measured, besides the measurement itself
WARM_UP = 1.0  # seconds of dreaming that do not count
GROUPS = 10  # parts of the measurement, for its quartiles
GRACE = 10.0  # seconds for a browser to go
SHORT = 50  # characters: in a longer folder a browser aborts, as its socket's name there has more than 100
FLAGS = (
    "--headless",
    "--no-sandbox",  # which root and containers do not have; the page is our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-breakpad",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--no-first-run",
    "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing is asked of the network
)

PAGE = '<!doctype html><meta charset="utf-8"><script type="module" src="bench.js"></script>'
# Posts the moments in milliseconds at which pictures arrived, or what failed.
SCRIPT = """
const { searchParams } = new URL(location.href);
const [warmUp, seconds] = ["warm_up", "seconds"].map((name) => 1000 * Number(searchParams.get(name)));
const say = (found) => fetch("found", { method: "POST", body: JSON.stringify(found) });
const worker = new Worker("bench-worker.js?backend=wasm", { type: "module" });
const times = [];
let from = null;
worker.onerror = ({ message }) => say({ failed: message || "its worker did not start" });
worker.onmessage = ({ data: { status, detail, frame } }) => {
  if (status === "failed") say({ failed: detail });
  if (status === "open") worker.postMessage({ type: "drive", who: "controller" });
  if (!frame) return;
  if (frame.header.ended) worker.postMessage({ type: "restart" });
  const now = performance.now();
  from ??= now + warmUp;
  if (now < from) return;
  times.push(now);
  if (now >= from + seconds && times.length > 1) {
    worker.terminate();
    worker.onmessage = null;
    say({ times });
  }
};
"""
# A browser's timer waits for 4 ms at least; a message to oneself does not.
WORKER = """
const calls = [];
const { port1, port2 } = new MessageChannel();
const waiting = self.setTimeout.bind(self);
port1.onmessage = () => calls.shift()();
self.setTimeout = (call, wait = 0, ...more) => {
  if (wait > 1) return waiting(call, wait, ...more);
  calls.push(call);
  port2.postMessage(null);
};
import("./static/js/local/worker.js");
"""


def measure_browser(budget: Budget, on_done: Callable[[str], None]) -> list[Measurement]:
    """Pictures a second of the pretrained car's dream; None with a note where no browser or no page can be had.

    Nothing is fetched, and nothing is left: the page and the browser's profile are in a folder that goes.
    """
    try:
        rates = _measure(budget)
        low, median, high = quartiles(rates)
        found = Measurement(
            "browser", "frames", median, low, high, note="WebAssembly on one thread, not drawn"
        )
    except UserError as error:
        found = Measurement("browser", "frames", None, note=str(error))
    on_done("browser")
    return [found]


def find_chromium() -> str:
    """The program; UserError where there is none."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None or shutil.which(program) is None:
        raise UserError(
            "there is no Chromium here: install the package chromium of your system, or set CHROMIUM to its path"
        )
    return program


def group_rates(times: Sequence[float], groups: int) -> list[float]:
    """Pictures a second in about `groups` parts, and two at least, of the moments (ms) at which they arrived."""
    size = max(1, (len(times) - 1) // groups)
    starts = range(0, len(times) - size, size)
    rates = [1000 * size / (times[at + size] - times[at]) for at in starts if times[at + size] > times[at]]
    return rates * 2 if len(rates) == 1 else rates


def _measure(budget: Budget) -> list[float]:
    program = find_chromium()
    if not all((cache_folder() / name).is_file() for name in FILES):
        raise UserError(
            f"{PACKAGE} has not been fetched yet: type `worldmodels export {MODEL} --out site`, which does it once"
        )
    with tempfile.TemporaryDirectory(prefix="worldmodels-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        site = _hurried_site(folder / "site")
        with _served(site) as (address, answered, found):
            wanted = f"{address}bench.html?warm_up={WARM_UP}&seconds={budget.seconds}"
            with _browsing(program, folder, wanted) as browser:
                _wait(browser, answered, PATIENCE + WARM_UP + budget.seconds)
    if "times" not in found:
        raise UserError(f"the page did not dream: {found.get('failed', 'it said nothing')}")
    rates = group_rates(found["times"], GROUPS)
    if not rates:
        raise UserError("the page dreamt too little to be measured: give it more time with --seconds")
    return rates


def _hurried_site(out: Path) -> Path:
    """The page as it is exported, in a game of a million steps a second, with a page beside it that measures."""
    from worldmodels.pipeline.export import export_run
    from worldmodels.runs.pretrained import run_folder

    export_run(run_folder(MODEL), out)
    described = json.loads((out / "model" / "model.json").read_bytes())
    described["hello"]["steps_per_second"] = 1_000_000
    (out / "model" / "model.json").write_text(json.dumps(described), encoding="utf-8")
    for name, text in (("bench.html", PAGE), ("bench.js", SCRIPT), ("bench-worker.js", WORKER)):
        (out / name).write_text(text, encoding="utf-8")
    return out


@contextmanager
def _served(site: Path) -> Iterator[tuple[str, threading.Event, dict[str, Any]]]:
    """A folder on this machine: its address, when the page has answered, and what it has said."""
    answered, found = threading.Event(), {}

    class Host(http.server.SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            found.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            answered.set()

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # a browser that has gone
                super().handle()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Host, directory=site)) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", answered, found
        finally:
            server.shutdown()
            serving.join()


@contextmanager
def _browsing(program: str, folder: Path, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """A browser at an address, with its profile in `folder`. It ends with the block, and with this process."""
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    if len(str(home)) <= SHORT:
        kept["TMPDIR"] = str(home)
    browser = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={home / 'profile'}", address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=kept | {"HOME": str(home)},
        start_new_session=True,  # Ctrl-C is for this process alone, which then ends the browser
    )
    ends, held = os.pipe()  # this process alone has `held`: it closes however we go
    try:
        sweeper = start_sweeper(browser.pid, folder, ends)
    finally:
        os.close(ends)
    try:
        yield browser
    finally:
        browser.terminate()  # it ends its own processes before it goes
        with suppress(subprocess.TimeoutExpired):
            browser.wait(GRACE)
        os.close(held)
        with suppress(subprocess.TimeoutExpired):
            sweeper.wait(GRACE)
        browser.kill()
        browser.wait()
        sweeper.kill()
        sweeper.wait()


def _wait(browser: subprocess.Popen[bytes], answered: threading.Event, patience: float) -> None:
    """Until the page has answered; UserError where it does not, or the browser has gone."""
    end = time.monotonic() + patience
    while not answered.wait(0.1):
        if browser.poll() is not None:
            raise UserError(
                f"Chromium ended by itself, exit code {browser.returncode}: try `chromium --headless`"
            )
        if time.monotonic() > end:
            raise UserError(
                f"the page has not dreamt within {patience:.0f} seconds: try again when the machine is idle"
            )
