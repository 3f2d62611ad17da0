"""Prometheus' and Grafana's files: they parse, and ask for metrics there are."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.metrics import Metrics
from tests.compose.promql import faults, parts
from tests.conftest import ROOT

COMPOSE = ROOT / "compose"
PROMETHEUS = COMPOSE / "prometheus"
_DASHBOARD = json.loads((COMPOSE / "grafana" / "dashboards" / "gateway.json").read_text())
_PANELS = [panel for panel in _DASHBOARD["panels"] if panel["type"] != "row"]
_TARGETS = [target for panel in _PANELS for target in panel["targets"]]
_RULES = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]


def _check(*command: str) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def _dashboard_rules(folder: Path, queries: list[str]) -> Path:
    """The queries as recording rules, which promtool reads, with Grafana's variables put in."""
    rules = [
        {
            "record": f"panel:{number}",
            "expr": query.replace("$__rate_interval", "1m").replace("$model", ".*"),
        }
        for number, query in enumerate(queries)
    ]
    path = folder / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    return path


@pytest.mark.promtool
def test_prometheus_takes_its_configuration() -> None:
    status, output = _check("promtool", "check", "config", str(PROMETHEUS / "prometheus.yml"))
    assert status == 0, output


@pytest.mark.promtool
def test_each_alert_fires_and_is_quiet_in_good_times() -> None:
    scenarios = ROOT / "tests" / "compose" / "alerts_test.yml"
    status, output = _check("promtool", "test", "rules", str(scenarios))
    assert status == 0, output
    # Each alert stands in both: where nothing is wrong, and where everything is.
    good, bad, _ = yaml.safe_load(scenarios.read_text())["tests"]
    names = {rule["alert"] for rule in _RULES}
    assert {one["alertname"] for one in good["alert_rule_test"]} == names
    assert {one["alertname"] for one in bad["alert_rule_test"] if one["exp_alerts"]} == names


@pytest.mark.promtool
def test_prometheus_can_read_the_dashboards_queries(tmp_path: Path) -> None:
    queries = [target["expr"] for target in _TARGETS]
    status, output = _check("promtool", "check", "rules", str(_dashboard_rules(tmp_path, queries)))
    assert status == 0, output
    broken = [*queries[:-1], queries[-1] + ")"]
    assert _check("promtool", "check", "rules", str(_dashboard_rules(tmp_path, broken)))[0] != 0


@pytest.mark.parametrize(
    "query", [*(target["expr"] for target in _TARGETS), *(rule["expr"] for rule in _RULES)]
)
def test_what_is_asked_for_exists(query: str) -> None:
    assert faults(query) == []


@pytest.mark.parametrize(
    "query",
    [
        "rate(gateway_rows_total[1m])",
        "gateway_batch_rows",  # a histogram has no series of its own name
        "gateway_breaker_state_total",
        'sum(rate(gateway_requests_total{code="200"}[1m]))',
        "sum by (candidate) (gateway_queue_rows)",
        "sum by (le) (rate(gateway_queue_seconds_sum[1m]))",
        "gateway_queue_rows / on (model) group_left nothing_like_it",
        "1 + 2",
    ],
)
def test_what_does_not_exist_is_found(query: str) -> None:
    assert faults(query)


def test_the_dashboard_shows_every_metric() -> None:
    asked = {name for target in _TARGETS for name in parts(target["expr"])[0]}
    missing = [
        metric.name
        for metric in Metrics().declared
        if not asked & {metric.name, f"{metric.name}_bucket", f"{metric.name}_sum"}
    ]
    assert missing == []


def test_each_panel_says_what_it_shows_and_in_which_unit() -> None:
    source = _datasource()
    assert len({panel["id"] for panel in _DASHBOARD["panels"]}) == len(_DASHBOARD["panels"])
    for panel in _PANELS:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"], panel["title"]
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": source["type"], "uid": source["uid"]}


def test_no_panel_covers_another() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in _DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]


def test_the_variable_asks_for_a_label_there_is() -> None:
    (variable,) = _DASHBOARD["templating"]["list"]
    metric, label = variable["query"]["query"].removeprefix("label_values(").rstrip(")").split(", ")
    assert faults(f'{metric}{{{label}="m"}}') == []


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    services = yaml.safe_load((COMPOSE / "monitoring.yaml").read_text())["services"]
    assert _datasource()["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    text = (COMPOSE / "grafana/provisioning/dashboards/gateway.yaml").read_text()
    (provider,) = yaml.safe_load(text)["providers"]
    folder = provider["options"]["path"]
    assert f"./grafana/dashboards:{folder}:ro" in services["grafana"]["volumes"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/gateway.json"


def test_grafana_calls_nobody() -> None:
    services = yaml.safe_load((COMPOSE / "monitoring.yaml").read_text())["services"]
    settings = services["grafana"]["environment"]
    for name in (
        "GF_ANALYTICS_REPORTING_ENABLED",
        "GF_ANALYTICS_CHECK_FOR_UPDATES",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES",
        "GF_NEWS_NEWS_FEED_ENABLED",
    ):
        assert settings[name] == "false"
    # Since 11.3 it downloads plugins at its start.
    assert settings["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"


def _datasource() -> dict[str, Any]:
    text = (COMPOSE / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    (source,) = yaml.safe_load(text)["datasources"]
    assert isinstance(source, dict)
    return source
