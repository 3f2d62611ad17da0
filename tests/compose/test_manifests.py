"""The manifests for Kubernetes: they fit the published schemas, and one another."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.config import Settings, describe, load
from tests.conftest import ROOT

FOLDER = ROOT / "compose" / "kubernetes"
_KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
#: The oldest that has all that is used, and the newest the validator knows.
_VERSIONS = ("1.27", kubernetes_validate.latest_version())


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in _KUSTOMIZATION["resources"]:
        for document in yaml.safe_load_all((FOLDER / name).read_text()):
            yield f"{name}/{document['metadata']['name']}", document


DOCUMENTS = dict(_documents())
#: Kinds that come with an operator; its schema is no part of Kubernetes'.
_FOREIGN = {"ServiceMonitor"}


def one(kind: str) -> dict[str, Any]:
    """The only document of a kind."""
    (document,) = (each for each in DOCUMENTS.values() if each["kind"] == kind)
    return document


def deployed() -> tuple[dict[str, Any], dict[str, Any]]:
    """The deployment's pod template, and its only container."""
    template = one("Deployment")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    return template, container


def settings() -> Settings:
    """What the gateway makes of the settings in the ConfigMap."""
    return load(environ=environment(), file=None)


def environment() -> dict[str, str]:
    """``settings.env`` as the variables it becomes."""
    lines = (FOLDER / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line)


@pytest.mark.parametrize("version", _VERSIONS)
@pytest.mark.parametrize(
    "name", [name for name, document in DOCUMENTS.items() if document["kind"] not in _FOREIGN]
)
def test_a_manifest_fits_the_published_schema(name: str, version: str) -> None:
    kubernetes_validate.validate(DOCUMENTS[name], version, strict=True)


@pytest.mark.parametrize("fault", ["unknown key", "wrong type", "missing key"])
def test_a_fault_is_found(fault: str) -> None:
    document = copy.deepcopy(one("Deployment"))
    if fault == "unknown key":
        document["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    elif fault == "wrong type":
        document["spec"]["progressDeadlineSeconds"] = "soon"
    else:
        del document["spec"]["selector"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, _VERSIONS[-1], strict=True)


def test_each_file_is_listed() -> None:
    listed = {*_KUSTOMIZATION["resources"], "kustomization.yaml"}
    assert {path.name for path in FOLDER.glob("*.yaml")} == listed
    (generator,) = _KUSTOMIZATION["configMapGenerator"]
    _, container = deployed()
    assert container["envFrom"] == [{"configMapRef": {"name": generator["name"]}}]
    assert all((FOLDER / name).is_file() for name in generator["envs"])
    assert container["image"] in {image["name"] for image in _KUSTOMIZATION["images"]}


def test_everything_points_at_the_gateways_pods() -> None:
    template, _ = deployed()
    labels = template["metadata"]["labels"].items()
    for selector in (
        one("Deployment")["spec"]["selector"]["matchLabels"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        template["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        *(each["spec"]["selector"] for each in DOCUMENTS.values() if each["kind"] == "Service"),
    ):
        assert selector
        assert selector.items() <= labels
    target = one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    deployment = one("Deployment")
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"]
    assert template["spec"]["serviceAccountName"] == one("ServiceAccount")["metadata"]["name"]


def test_ports_are_those_the_gateway_listens_on() -> None:
    _, container = deployed()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": settings().port, "management": settings().management_port}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == "http"
    for document in DOCUMENTS.values():
        if document["kind"] == "Service":
            assert {port["targetPort"] for port in document["spec"]["ports"]} <= set(ports)
    incoming = one("NetworkPolicy")["spec"]["ingress"]
    assert [port["port"] for rule in incoming for port in rule["ports"]] == ["http", "management"]
    assert "from" in incoming[1], "the management port is not for everybody"


def test_prometheus_operator_finds_the_metrics() -> None:
    monitor = one("ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    (service,) = (
        document
        for document in DOCUMENTS.values()
        if document["kind"] == "Service" and wanted <= document["metadata"]["labels"].items()
    )
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"


def test_the_settings_are_settings() -> None:
    assert environment().keys() <= {variable for _, variable, _, _ in describe()}


def test_a_pod_has_time_to_drain() -> None:
    template, container = deployed()
    stopping = settings().drain_grace_s + settings().shutdown_s
    assert template["spec"]["terminationGracePeriodSeconds"] > stopping
    # The endpoints must have forgotten the pod before it stops listening.
    probe = container["readinessProbe"]
    noticed = probe["failureThreshold"] * (probe["periodSeconds"] + probe["timeoutSeconds"])
    assert settings().drain_grace_s > noticed
    # A service named gateway would set GATEWAY_PORT, which is a setting.
    assert template["spec"]["enableServiceLinks"] is False


def test_the_pod_fits_the_restricted_profile() -> None:
    template, container = deployed()
    pod, own = template["spec"]["securityContext"], container["securityContext"]
    assert one("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == (
        "restricted"
    )
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert own["readOnlyRootFilesystem"] is True
    assert template["spec"]["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


def test_the_models_can_come_from_a_volume() -> None:
    component = yaml.safe_load((FOLDER / "volume" / "kustomization.yaml").read_text())
    (patch,) = component["patches"]
    document = yaml.safe_load((FOLDER / "volume" / patch["path"]).read_text())
    deployment = one("Deployment")
    assert document["metadata"] == {"name": deployment["metadata"]["name"]}
    pod = document["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["name"] == deployed()[1]["name"]
    (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
    assert mount["name"] == volume["name"]
    assert mount["readOnly"] is True
    merged = copy.deepcopy(deployment)
    template = merged["spec"]["template"]["spec"]
    template["volumes"].append(volume)
    template["containers"][0]["volumeMounts"].append(mount)
    kubernetes_validate.validate(merged, _VERSIONS[-1], strict=True)


def test_heroku_builds_the_gateways_image() -> None:
    document = yaml.safe_load((ROOT / "heroku.yml").read_text())
    path = Path(document["build"]["docker"]["web"])
    # Heroku builds in the Dockerfile's folder, and this one copies from the top.
    assert path.parent == Path()
    assert (ROOT / path).resolve() == ROOT / "compose" / "gateway" / "Dockerfile"
    assert (ROOT / path).is_file()
