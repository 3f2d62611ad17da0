"""A drawing as SVG that lives inside the page: its colours, font and sizes are the page's."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import msgspec
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: Colours that stand for custom properties of the style sheet, which replace them in the SVG.
INK, MUTED, RULE, PAPER, ALERT = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05"
_PROPERTIES = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper", ALERT: "alert"}
#: Colours, markers and dashes of series, which tell them apart each by itself.
_SERIES = [f"#0c0d{number:02x}" for number in range(1, 9)]
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")
_DASHES: tuple[tuple[float, ...], ...] = ((), (7, 2), (7, 2, 1.5, 2), (3.5, 1.5))
#: Kept for stand-ins, which also have hollow markers and their name.
_STAND_IN_DASHES: tuple[float, ...] = (1.2, 2.0)

#: In px of the page at its full width.
WIDTH, HEIGHT = 420.0, 270.0
LEFT, RIGHT, TOP, BOTTOM = 42.0, 130.0, 24.0, 38.0
FONT = 10.0

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": FONT,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.7,
    "lines.markersize": 5,
}

_DEFINED = re.compile(r' id="([^"]*)"')
_REFERRED = re.compile(r'(?:url\(#|href="#)([^")]+)')
_FAMILY = re.compile(r"font: ([^;\"]*?)([\d.]+px) [^;\"]*")


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """``title`` and ``note`` are its caption; ``words`` says what it shows to who cannot see it."""

    name: str
    title: str
    note: str = ""
    words: str
    svg: str


class Style(msgspec.Struct, frozen=True):
    """How one series is drawn, everywhere in the report."""

    colour: str
    marker: str
    dashes: tuple[float, ...]
    stand_in: bool
    label: str

    @property
    def face(self) -> str:
        """What its markers are filled with."""
        return PAPER if self.stand_in else self.colour


def styles(names: Sequence[str], stood_in: Sequence[bool]) -> dict[str, Style]:
    """A style for each name, the same for the same place in the list."""
    return {
        name: Style(
            colour=_SERIES[i % len(_SERIES)],
            marker=_MARKERS[i % len(_MARKERS)],
            dashes=_STAND_IN_DASHES if stand_in else _DASHES[i % len(_DASHES)],
            stand_in=stand_in,
            label=_label(name, stand_in),
        )
        for i, (name, stand_in) in enumerate(zip(names, stood_in, strict=True))
    }


@contextmanager
def canvas(
    height: float = HEIGHT,
    *,
    left: float = LEFT,
    right: float = RIGHT,
    top: float = TOP,
    bottom: float = BOTTOM,
) -> Iterator[Axes]:
    """Axes with these margins, in px; :func:`plot` makes the plot of them, inside the context."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        FigureCanvasSVG(figure)
        box = (
            left / WIDTH,
            bottom / height,
            1 - (left + right) / WIDTH,
            1 - (top + bottom) / height,
        )
        yield figure.add_axes(box)


def plot(axes: Axes, *, name: str, title: str, words: str, note: str = "") -> Plot:
    """The drawing finished; ``name`` is unique in the document and fit for an id."""
    return Plot(name=name, title=title, note=note, words=words, svg=_svg(axes, name, words))


def heading(axes: Axes, text: str) -> None:
    """What the y axis measures, above it rather than along it."""
    axes.text(
        0, 1 + 9 / HEIGHT, text, transform=axes.transAxes, ha="left", va="bottom", color=MUTED
    )


def _svg(axes: Axes, name: str, words: str) -> str:
    figure = axes.get_figure(root=True)
    assert figure is not None
    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return _inline(text.getvalue(), words)


def _inline(svg: str, words: str) -> str:
    """The element alone, its colours and font the page's, without ids that nothing refers to."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Matplotlib's own style would hold for every element of the page; report.css says the same.
    svg = re.sub(r"\s*<style.*?</style>", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None, "matplotlib writes a view box"
    label = words.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    head = f'<svg class="plot" role="img" aria-label="{label}" {box.group()}>'
    svg = head + svg[svg.index(">") + 1 :]
    referred = set(_REFERRED.findall(svg))
    svg = _DEFINED.sub(lambda m: m.group() if m.group(1) in referred else "", svg)
    svg = _FAMILY.sub(r"font: \1\2 var(--sans)", svg)
    for colour, name in _PROPERTIES.items():
        svg = svg.replace(colour, f"var(--{name})")
    for number, colour in enumerate(_SERIES, 1):
        svg = svg.replace(colour, f"var(--c{number})")
    return svg


def _label(name: str, stand_in: bool) -> str:
    """The name over as many lines as it needs beside a plot."""
    lines: list[str] = []
    for word in name.split(" "):
        head, slash, tail = word.partition("/")
        lines += [word] if len(word) <= 21 else [head + slash, tail]
    lines = [line if len(line) <= 22 else f"{line[:21]}…" for line in lines if line]
    return "\n".join([*lines, "stand-in"] if stand_in else lines)
