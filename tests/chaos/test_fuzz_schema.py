"""Schemathesis reads the OpenAPI document and looks for requests that are answered otherwise.

It knows nothing of the gateway: what it sends, and what it takes for right, comes from the
document alone. https://schemathesis.readthedocs.io
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import MIXED, REPOSITORY, linear_graph, write_model
from tests.processes import Gateway

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "positive_data_acceptance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
#: A deadline of a millisecond, which the document allows, is rightly answered 504; and a header the
#: gateway does not know is no error in HTTP.
CONFIGURATION = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "504"]
[phases.coverage.generation]
allow-extra-parameters = false
"""
#: Requests per door and kind of data; with three models it takes about half a minute.
EXAMPLES = 60


def scalars(folder: Path) -> None:
    """One feature of each scalar type; the string may be any, numbers are held to their range."""
    features = [{k: v for k, v in f.items() if k != "categories"} for f in MIXED["features"]]
    write_model(folder, MIXED | {"features": features, "out_of_range": "reject"})


def tensor(folder: Path) -> None:
    """A tensor of whole numbers, as lists or in base64."""
    (folder / "1").mkdir(parents=True)
    linear_graph(folder / "1" / "linear.onnx", [1.0, 2.0, 3.0])
    manifest = {
        "name": "tensor",
        "features": [{"name": "x", "type": "tensor", "shape": [3], "dtype": "int16"}],
        "outputs": [{"name": "y"}],
        "backends": {"onnx": {"lineages": {"only": {"artifact": "linear.onnx"}}}},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest))


def example(folder: Path) -> None:
    """The repository's own model, without the backends that are not running here."""
    source = REPOSITORY / "weight-change"
    (folder / "1").mkdir(parents=True)
    for graph in (source / "1").glob("*.onnx"):
        shutil.copy(graph, folder / "1")
    manifest = yaml.safe_load((source / "model.yaml").read_text())
    manifest["backends"] = {"onnx": manifest["backends"]["onnx"]}
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest))


@pytest.mark.parametrize("model", [scalars, tensor, example])
def test_every_answer_is_as_the_document_says(
    model: Callable[[Path], None], tmp_path: Path
) -> None:
    model(tmp_path / "model")
    with Gateway(tmp_path / "model") as gateway:
        (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
        command = [sys.executable, "-m", "schemathesis.cli"]
        command += ["--config-file", "schemathesis.toml", "run", f"{gateway.url}/openapi.json"]
        command += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"]
        command += ["--max-examples", str(EXAMPLES), "--generation-deterministic"]
        command += ["--continue-on-failure", "--no-color"]
        report = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
        )
        metrics = requests.get(f"{gateway.url}/metrics", timeout=10).text
    assert report.returncode == 0, report.stdout + report.stderr
    answered: Counter[int] = Counter()
    good: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "gateway_requests_total":
                answered[int(sample.labels["status"])] += int(sample.value)
                if sample.labels["status"] == "200":
                    good[sample.labels["door"]] += int(sample.value)
    # It has not passed by being refused at the door: rows were predicted, rows were refused.
    assert answered[200] > EXAMPLES
    assert min(good["/v1/predict"], good["/v1/compare"]) > EXAMPLES // 4
    assert answered[422] > 20
    assert {status for status in answered if status >= 500} <= {504}
