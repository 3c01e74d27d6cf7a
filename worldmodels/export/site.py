"""The folder that becomes a web page: written aside, renamed, and never over something else."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from worldmodels import play
from worldmodels.errors import UserError
from worldmodels.export.description import FORMAT, describe, exported_starts, starts_file
from worldmodels.export.graphs import memory_graph, vision_graph
from worldmodels.export.runtime import put_runtime
from worldmodels.play.guard import POLICY
from worldmodels.play.model import PlayModel
from worldmodels.runs.files import cannot_write

STATIC = Path(play.__file__).parent / "static"
MARK = "export.json"  # says that the folder is an export, and lists its files
ENGINE = re.compile(r'(<meta name="engine" content=")socket(")')
# What the server says in a header the page says itself.
HEAD = f"""\
  <meta http-equiv="Content-Security-Policy" content="{POLICY}">
  <script defer src="static/js/local/from-disk.js"></script>"""
FETCHED = (
    "model/vision.onnx",
    "model/memory.onnx",
    "ort/wasm/binary.wasm.gz.bin",
    "ort/webgpu/binary.wasm.gz.bin",
)


@dataclass(frozen=True)
class Site:
    """An export that was written."""

    path: Path
    files: dict[str, int]  # bytes, by path in the site

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self.files.values())

    def size_of(self, folder: str) -> int:
        """Bytes of the files in one of its folders."""
        return sum(size for name, size in self.files.items() if name.startswith(f"{folder}/"))


def write_site(model: PlayModel, out: Path, package: Path | None = None) -> Site:
    """Write the page of a model to the folder `out`, all or nothing.

    Args:
        out: is made, or replaced when it is empty or a former export.
        package: see `put_runtime`.
    Raises:
        UserError: when `out` holds something else, cannot be written, or the runtime cannot be had, and for a C that
            the page cannot act as.
    """
    check_out(out)
    for driver in model.controllers:
        if driver.config.hidden:
            raise UserError(
                f"{driver.label} has a hidden layer, and the C of a page is linear: export a run that was trained "
                "without --controller.hidden, or type `worldmodels play RUN`"
            )
    aside = out.absolute().with_name(f".{out.absolute().name}.unfinished")
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of an export that was killed
        aside.mkdir(parents=True)
        put_runtime(aside / "ort", package)
        _write_model(model, aside)
        _write_page(aside)
        files = _sizes(aside)
        mark = {
            "format": FORMAT,
            "model": model.name,
            "worldmodels": version("worldmodels"),
            "files": sorted(files),
        }
        (aside / MARK).write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
        _replace(out, aside)
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Site(out, _sizes(out))


def check_out(out: Path) -> None:
    """UserError unless the folder may be made or replaced."""
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not out.is_dir():
        raise UserError(f"--out {out} exists and is no folder; choose another")
    if not any(out.iterdir()):
        return
    try:
        mark = json.loads((out / MARK).read_bytes())
        written = {MARK, *mark["files"]} if mark["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        written = None
    if written is None:
        raise UserError(f"--out {out} is a folder with other things in it; choose another")
    added = sorted(_sizes(out).keys() - written)
    if added:
        raise UserError(
            f"--out {out} has {added[0]} in it, which did not come with the export; "
            "move it away, or choose another folder"
        )


def _write_model(model: PlayModel, site: Path) -> None:
    folder = site / "model"
    folder.mkdir()
    starts = exported_starts(model.starts, model.openings)
    (folder / "vision.onnx").write_bytes(vision_graph(model.vision))
    (folder / "memory.onnx").write_bytes(memory_graph(model.memory))
    (folder / "starts.bin").write_bytes(starts_file(starts))
    described = describe(model, starts, {name: (site / name).stat().st_size for name in FETCHED})
    (folder / "model.json").write_text(json.dumps(described, separators=(",", ":")), encoding="utf-8")


def _write_page(site: Path) -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    (site / "index.html").write_text(exported_page(html), encoding="utf-8")
    ignore = shutil.ignore_patterns("index.html", "engine-socket.js", "__pycache__", ".*")
    shutil.copytree(STATIC, site / "static", ignore=ignore)


def exported_page(html: str) -> str:
    """The server's index.html for a page without a server: another engine, and what its head needs."""
    page, count = ENGINE.subn(r"\1local\2", html)
    if count != 1:
        raise ValueError('index.html must have one line <meta name="engine" content="socket">')
    return page.replace("<head>", f"<head>\n{HEAD}", 1)


def _replace(out: Path, ready: Path) -> None:
    """Put `ready` in the place of `out`, which is empty, a former export or not there."""
    if not out.exists():
        os.replace(ready, out)
        return
    former = ready.with_name(f"{ready.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    os.replace(out, former)
    os.replace(ready, out)
    shutil.rmtree(former, ignore_errors=True)


def _sizes(folder: Path) -> dict[str, int]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
