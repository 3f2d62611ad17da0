"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup, escape

from loadtests.compare.errors import CompareError
from loadtests.compare.report import cost, locust, method, parity, speed
from loadtests.compare.report.headline import headline
from loadtests.compare.report.names import stand_ins
from loadtests.compare.report.plots import bars, differences, latency, throughput, timeline
from loadtests.compare.report.plots.drawing import Plot, styles
from loadtests.compare.report.table import Table
from loadtests.compare.report.verdicts import verdicts
from loadtests.compare.results import Parity, Results, Shape

_TEMPLATES = files("loadtests.compare.report") / "templates"
#: Of a name, not of a unit like "requests/s".
_SLASH = re.compile(r"/(?=\w{3})")
_SHAPES: tuple[Shape, ...] = ("closed", "open", "batch")


class _Pair(msgspec.Struct, frozen=True):
    """A pair of one lineage with all that is shown of it."""

    parity: Parity
    asked: str
    suspects: Table | None
    worst: Table | None
    plot: Plot | None


class _Anchors:
    """Ids that have a place already: each is given one only."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def place(self, name: str) -> Markup:
        """The attribute that makes this place the id's own, if it is the first."""
        if name in self._taken:
            return Markup("")
        self._taken.add(name)
        return Markup(' id="{}"').format(name)


def write_html(results: Results, path: Path) -> None:
    """Write the report: about a second's work, mostly for the plots.

    Raises:
        CompareError: It cannot be written there.
    """
    text = html(results)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CompareError(f"{path}: cannot be written: {error.strerror}") from None


def html(results: Results) -> str:
    """The document itself. Everything that comes from outside is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (_TEMPLATES / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    environment.filters["svg"] = Markup  # Made by matplotlib, which has escaped its texts.
    page: str = environment.get_template("report.html").render(
        css=Markup((_TEMPLATES / "report.css").read_text("utf-8")),
        place=_Anchors().place,
        **_content(results),
    )
    return page


def _breakable(text: str) -> Markup:
    """A line may end behind a slash of a name."""
    return Markup(_SLASH.sub("/<wbr>", str(escape(text))))


def _content(results: Results) -> dict[str, Any]:
    return {
        "results": results,
        "begun": method.moment(results.started),
        "figures": results.figures(),
        "verdicts": verdicts(results),
        "headline": headline(results),
        "stand_ins": method.stand_ins(results),
        "pair_table": parity.pairs(results),
        "pairs": [_pair(one, stand_ins(results.subjects)) for one in results.parity],
        "distances": parity.distances(results),
        "speed": [table for table in _speed(results) if not table.empty],
        "speed_plots": _speed_plots(results),
        "contrasts": speed.contrasts(results),
        "cost": [
            table for table in (cost.servers(results), cost.usage(results)) if not table.empty
        ],
        "cost_plots": [drawn for drawn in (bars.memory(results), bars.cpu(results)) if drawn],
        "locust": locust.runs(results),
        "locust_plots": timeline.timelines(results.locust),
        "facts": method.facts(results),
        "explanations": method.explanations(results),
    }


def _pair(one: Parity, stood_in: Mapping[str, str | None]) -> _Pair:
    return _Pair(
        parity=one,
        asked=parity.rows_asked(one),
        suspects=parity.suspects(one),
        worst=parity.worst(one, stood_in),
        plot=differences.differences(one),
    )


def _speed(results: Results) -> list[Table]:
    return [speed.points(results, shape) for shape in _SHAPES]


def _speed_plots(results: Results) -> list[tuple[str, str, list[Plot]]]:
    """Groups of plots, each with a heading and how to read it."""
    subjects = results.subjects
    looks = styles([s.name for s in subjects], [s.stand_in is not None for s in subjects])
    overview = [
        throughput.by_clients(results.points, looks),
        throughput.against_latency(results.points, looks, "p50"),
        throughput.against_latency(results.points, looks, "p99"),
        throughput.by_rows(results.points, looks),
    ]
    distributions = {
        shape: latency.distributions(results.points, shape, looks) for shape in _SHAPES
    }
    groups = [
        (
            "Throughput",
            "Bars at the marks are 95 % confidence intervals. Against throughput, each mark is an "
            "offered rate: where a line turns up, requests begin to wait.",
            [drawn for drawn in overview if drawn is not None],
        ),
        *(
            (
                f"Latency distributions, {_NAMES[shape]}",
                "From every latency of all rounds; to the right each tick leaves a tenth as many "
                "requests that took longer. Marks are p50, p90, p99 and p99.9 of the table.",
                drawn,
            )
            for shape, drawn in distributions.items()
        ),
    ]
    return [group for group in groups if group[2]]


_NAMES: dict[Shape, str] = {"closed": "closed loop", "open": "open loop", "batch": "batch bodies"}
