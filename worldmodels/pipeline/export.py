"""A run as a page that needs no server."""

from __future__ import annotations

import sys
from pathlib import Path

from worldmodels.errors import UserError
from worldmodels.export.site import Site, check_out, write_site
from worldmodels.pipeline.play import play_model
from worldmodels.runs.folder import RunFolder

LARGE = 25_000_000  # bytes: what some static hosts take, and what people wait for
PARTS = (
    ("model", "V, M and the moments at which dreams begin"),
    ("ort", "onnxruntime-web, of which a browser loads one half"),
    ("static", "the page"),
)


def export_run(run: RunFolder, out: Path, package: Path | None = None) -> Site:
    """Write the page of a run's chosen V and M and all their Cs to the folder `out`; see `write_site`."""
    check_out(out)  # before the work of minutes
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"the page needs {error.name}, which is not installed: type `pip install 'worldmodels[export]'`"
        ) from error
    return write_site(play_model(run, "cpu"), out, package)


def sentences(site: Site) -> str:
    """What was written, and the address to try, for people. A page that is large is said to be on standard error."""
    if site.size > LARGE:
        print(
            f"this page is larger than {LARGE / 1e6:.0f} MB, which some static hosts refuse", file=sys.stderr
        )
    rows = [f"  {site.size_of(folder) / 1e6:5.1f} MB  {folder}/  {what}" for folder, what in PARTS]
    return "\n".join(
        [
            f"{site.path}: {site.size / 1e6:.1f} MB, {len(site.files)} files, for any static host",
            *rows,
            f"python -m http.server -d {site.path} 8000    then open http://localhost:8000",
        ]
    )
