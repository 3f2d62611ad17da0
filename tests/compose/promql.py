"""What a PromQL query asks for, and whether the gateway has it."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import Metrics

_STRING = re.compile(r'"[^"]*"')
_MATCHERS = re.compile(r"\{([^}]*)\}")
_GROUPING = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\b(?:\s*\(([^)]*)\))?", re.IGNORECASE
)
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NAME = re.compile(r"(?<![\w.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
_WORDS = {"and", "or", "unless", "bool", "inf", "nan"}
#: What Prometheus adds to every sample it takes.
_OF_PROMETHEUS = {"job", "instance"}


def known() -> dict[str, set[str]]:
    """The labels of every series there is, by its name: the gateway's, its process's, ``up``."""
    metrics = Metrics()
    series: dict[str, set[str]] = {"up": set()}
    for metric in metrics.declared:
        labels = set(metric.labels)
        if metric.kind == "histogram":
            series[f"{metric.name}_bucket"] = labels | {"le"}
            series |= {f"{metric.name}_{part}": labels for part in ("sum", "count")}
        else:
            series[metric.name] = labels
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        if family.name.startswith("process_"):
            series |= {sample.name: set(sample.labels) for sample in family.samples}
    return series


def parts(query: str) -> tuple[set[str], set[str]]:
    """The names of the series a query asks for, and of the labels it uses."""
    labels: set[str] = set()
    rest = _STRING.sub('""', query)
    for matchers in _MATCHERS.findall(rest):
        labels |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
    rest = _RANGE.sub(" ", _MATCHERS.sub(" ", rest))
    for names in _GROUPING.findall(rest):
        labels |= {name.strip() for name in names.split(",") if name.strip()}
    rest = _GROUPING.sub(" ", rest)
    return {name for name in _NAME.findall(rest) if name.lower() not in _WORDS}, labels


def faults(query: str) -> list[str]:
    """What the query asks for that there is not; a query that asks for nothing is a fault, too."""
    series = known()
    names, labels = parts(query)
    if not names:
        return [f"asks for nothing: {query}"]
    unknown = sorted(names - set(series))
    if unknown:
        return [f"no metric {name}: {query}" for name in unknown]
    allowed = _OF_PROMETHEUS.union(*(series[name] for name in names))
    return [f"no label {label}: {query}" for label in sorted(labels - allowed)]
