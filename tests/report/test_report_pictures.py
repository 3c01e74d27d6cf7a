"""The script that takes the README's pictures out of a report."""

from __future__ import annotations

import pytest
from PIL import Image

from worldmodels.errors import UserError
from worldmodels.report.page import write_report


def test_charts_strip_and_film_are_taken_out_of_a_report(browser, finished, tmp_path, script):
    take = script("report_pictures").take
    finished.report.unlink(missing_ok=True)
    with pytest.raises(UserError, match="run `worldmodels report"):
        take(browser, finished, tmp_path / "out")
    write_report(finished)
    paths = take(browser, finished, tmp_path / "out")
    assert [path.name for path in paths] == ["evolution.png", "gap.png", "strip.png", "drive.gif"]
    for path in paths[:2]:
        with Image.open(path) as picture:
            assert picture.width > 300
            assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 5, "a chart and not an empty box"
    with Image.open(paths[3]) as drive:
        assert (getattr(drive, "n_frames", 1), drive.width) == (4, 240)
