"""What is counted, as /metrics shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from gateway.errors import FieldError
from gateway.telemetry import Telemetry

Samples = dict[tuple[str, ...], float]


def samples(exposition: bytes) -> Samples:
    """Values by sample name and label values, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
        if sample.name.startswith("gateway_")
    }


def test_a_target_counts_calls_and_refusals() -> None:
    telemetry = Telemetry()
    target = telemetry.for_target("m", "1", "torchserve", "pytorch")
    target.answered(5, 0.25, 0.125)
    target.answered(3, 0.25, 0.0)
    target.failed("backend-timeout")
    target.refused("breaker", 4)
    found = samples(telemetry.exposition())
    names = ("torchserve", "pytorch", "m")
    assert found["gateway_batch_rows_sum", *names] == 8
    assert found["gateway_batch_rows_count", *names] == 2
    assert found["gateway_backend_seconds_sum", *names] == 0.5
    assert found["gateway_queue_seconds_sum", *names] == 0.125
    assert found["gateway_backend_errors_total", "torchserve", "backend-timeout", *names[1:]] == 1
    assert found["gateway_refused_total", "torchserve", "m", "breaker"] == 4
    assert found["gateway_refused_total", "torchserve", "m", "overloaded"] == 0


def test_queue_and_breaker_are_read_off_over_all_versions() -> None:
    telemetry = Telemetry()
    old, new = (telemetry.for_target("m", version, "onnx", "pytorch") for version in "12")
    for version in "12":
        telemetry.backend_ready.labels("m", version, "onnx", "pytorch").set(1)
    old.watch(lambda: 3, lambda: "open")
    new.watch(lambda: 4, lambda: "half-open")
    names = ("onnx", "pytorch", "m")
    found = samples(telemetry.exposition())
    assert found["gateway_queue_rows", *names] == 7
    assert found["gateway_breaker_state", *names] == 2

    old.close()
    found = samples(telemetry.exposition())
    assert found["gateway_queue_rows", *names] == 4
    assert found["gateway_breaker_state", *names] == 1
    assert found["gateway_backend_ready", *names, "2"] == 1
    assert ("gateway_backend_ready", *names, "1") not in found

    new.close()
    assert ("gateway_queue_rows", *names) not in samples(telemetry.exposition())


def test_signs_of_drift_are_counted_by_feature() -> None:
    telemetry = Telemetry()
    model = telemetry.for_model("m")
    assert telemetry.for_model("m") is model
    model.validated(0.001)
    model.outside({"age": 2, "size": 1})
    model.misfits(
        [
            FieldError("/0/colour", "colour", "category", "is not a known category", "one of a"),
            FieldError("/1/colour", "colour", "category", "is not a known category", "one of a"),
            FieldError("/1/age", "age", "range", "is outside the training range", "1-2"),
            FieldError("/2/age", "age", "type", "is a string, not a number", "1-2"),
            FieldError("/2/hostile", "hostile", "unknown-field", "is not known", "age"),
        ]
    )
    found = samples(telemetry.exposition())
    assert {
        key: value
        for key, value in found.items()
        if key[0].endswith(("range_total", "category_total"))
    } == {
        ("gateway_out_of_range_total", "age", "m"): 3,
        ("gateway_out_of_range_total", "size", "m"): 1,
        ("gateway_unknown_category_total", "colour", "m"): 2,
    }
    assert found["gateway_validation_seconds_count", "m"] == 1


WORKER = """
import sys
from gateway.telemetry import Telemetry
telemetry = Telemetry()
rows, state, gone = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
target = telemetry.for_target("m", "1", "onnx", "pytorch")
target.watch(lambda: rows, lambda: state)
telemetry.backend_ready.labels("m", "1", "onnx", "pytorch").set(1)
exposition = telemetry.exposition()
if gone:
    target.close()
    exposition = telemetry.exposition()
sys.stdout.buffer.write(exposition)
"""


def test_of_several_workers_gauges_are_the_sum_or_the_worst(tmp_path: Path) -> None:
    def worker(*arguments: str) -> Samples:
        command = [sys.executable, "-c", WORKER, *arguments]
        environ = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        return samples(subprocess.run(command, capture_output=True, check=True, env=environ).stdout)

    names = ("onnx", "pytorch", "m")
    worker("3", "open")
    both = worker("4", "closed")
    assert both["gateway_queue_rows", *names] == 7
    assert both["gateway_breaker_state", *names] == 2
    assert both[("gateway_draining",)] == 0
    assert both[("gateway_workers",)] == 2

    third = worker("100", "half-open", "gone")
    assert third["gateway_queue_rows", *names] == 7
    ready = third["gateway_backend_ready", *names, "1"]
    assert ready != ready  # not a number: neither ready nor not
