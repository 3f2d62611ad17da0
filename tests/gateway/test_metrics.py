"""The declared metrics, and the page that lists them."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import Metrics, page
from tests.conftest import ROOT


def test_the_metrics_page_is_as_generated() -> None:
    written = (ROOT / "docs" / "metrics.md").read_text()
    assert written == page(), "run: python -m gateway.metrics > docs/metrics.md"


def test_what_is_declared_is_what_is_exposed() -> None:
    metrics = Metrics()
    families = text_string_to_metric_families(metrics.exposition().decode())
    exposed = {f.name: f.type for f in families if f.name.startswith("gateway_")}
    declared = {m.name.removesuffix("_total"): m.kind for m in metrics.declared}
    assert declared == exposed


def test_the_questions_ask_for_metrics_there_are() -> None:
    names = {
        name
        for metric in Metrics().declared
        for name in (metric.name, *(f"{metric.name}_{part}" for part in ("bucket", "sum", "count")))
    }
    asked = set(re.findall(r"gateway_\w+", page().partition("Often asked")[2]))
    assert asked
    assert asked <= names
