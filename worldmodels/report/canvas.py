"""One chart as SVG for the page: text stays text, and colours are the page's own, for light and dark.

matplotlib draws with the signal colours below; in the SVG each becomes a variable that page.css defines.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

INK, MUTED, LINE, PAPER = "#010203", "#020304", "#030405", "#040506"
ACTUAL, DREAM, OTHER = "#050607", "#060708", "#070809"  # one meaning each, on every chart
_VARIABLES = {
    INK: "ink", MUTED: "muted", LINE: "line", PAPER: "card", ACTUAL: "actual", DREAM: "dream", OTHER: "other"
}  # fmt: skip

LARGEST = 1.3  # more, and the text of a small chart would shout beside that of the page
NUMBERS = FuncFormatter(lambda value, _: f"{value:,.4g}".replace("-", "−"))

_STYLE = {
    "svg.fonttype": "none",
    "font.size": 12.0,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": MUTED,  # titles say what the vertical axis counts; the page has the headings
    "axes.titlelocation": "left",
    "axes.titlesize": 12.0,
    "axes.titlepad": 10.0,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.bottom": False,
    "ytick.left": False,
    "ytick.minor.left": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 11.5,
    "legend.handlelength": 1.4,
    "legend.borderaxespad": 0.0,
    "legend.borderpad": 0.0,
    "path.simplify_threshold": 0.6,
    "text.parse_math": False,
}


def chart(name: str, alt: str, draw: Callable[[Axes], None], width: int = 360, height: int = 270) -> Markup:
    """Draw one chart; returns an <svg> element as wide as its place, up to LARGEST times `width`.

    Args:
        width, height: in CSS pixels, for text of 12; a phone has room for 330.
        name: of the chart; makes the ids inside it differ from those of its neighbours on the page.
        alt: what a reader who does not see it should know.
        draw: puts the content on the axes, in the colours of this module.
    """
    settings: Any = {
        **_STYLE,
        "svg.hashsalt": name,
    }  # matplotlib's type for the keys changes with its version
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        draw(figure.subplots())
        buffer = io.StringIO()
        nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nobody)
    return _for_page(buffer.getvalue(), alt, width)


def chart_for_any_width(name: str, alt: str, draw: Callable[[Axes], None], height: int) -> Markup:
    """The chart twice, for a screen and for a phone; the page shows one of them."""
    wide, narrow = chart(f"{name}-wide", alt, draw, 960, height), chart(f"{name}-narrow", alt, draw, 360, 340)
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(wide, narrow)


def is_wide(axes: Axes) -> bool:
    """Whether the chart is the one for a screen."""
    return axes.figure.bbox.width > 8 * axes.figure.dpi  # inches


def _for_page(svg: str, alt: str, width: int) -> Markup:
    """An SVG file's content, cleaned of what only a file of its own needs, under a new first tag."""
    parts = re.search(r'<svg[^>]*(viewBox="[^"]+")[^>]*>(.*)</svg>', svg, re.DOTALL)
    assert parts is not None, "matplotlib wrote no <svg>"
    view_box, content = parts.groups()
    content = re.sub(r"<(metadata|style)\b.*?</\1>", "", content, flags=re.DOTALL)
    content = re.sub(r'<g id="[^"]*"', "<g", content)  # the same in every chart, and nothing refers to them
    content = content.replace("xlink:href", "href")
    # The font is the page's; only sizes stay. Older versions of matplotlib write both in one.
    content = re.sub(r"font-family: [^;\"]+;? ?", "", content)
    content = re.sub(r"font: (?:\w+ )*([\d.]+px) [^;\"]+", r"font-size: \1", content)
    content = re.sub(r"\s*\n\s*", " ", content)
    for color, variable in _VARIABLES.items():
        content = content.replace(color, f"var(--{variable})")
    first = f'<svg role="img" aria-label="{html.escape(alt)}" {view_box}'
    return Markup(f'{first} style="max-width: {LARGEST * width:.0f}px">{content}</svg>')
