from __future__ import annotations

import msgspec
import pytest

from gateway.models.repository import ModelVersion
from loadtests.compare.cost.servers import Address, Servers
from loadtests.compare.results import Figure
from tests.loadtests.compare.cost.conftest import MakePuppet, Puppet

STAND_IN = "tensorflow-serving"


def _figures(entry: object) -> dict[str, Figure]:
    values = msgspec.structs.asdict(entry)  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if isinstance(value, Figure)}


def test_what_a_server_takes(puppet: Puppet, free_port: int, version: ModelVersion) -> None:
    puppet.do(f"listen 127.0.0.1 {free_port}")
    servers = Servers({"gateway": Address(f"http://127.0.0.1:{free_port}")})
    puppet.do(f"spawn {puppet.script} serve")
    puppet.do("tell hold 50")
    servers.loaded()
    first = Figure(id="cost.gateway.first_prediction", what="", value=1.5, unit="s")
    (entry,) = servers.entries(version, {"gateway": first})
    assert entry.processes == ["python: served ×2"]
    assert entry.memory_idle.value is not None
    assert entry.memory_loaded.value is not None
    assert entry.memory_loaded.value > entry.memory_idle.value + 50
    assert entry.first_prediction.value == 1.5
    assert entry.install.value is not None
    assert entry.artifact.value == pytest.approx(0.0097, abs=0.0005)
    assert entry.image is None
    ids = [figure.id for figure in _figures(entry).values()]
    assert len(set(ids)) == len(ids)
    assert servers.families["gateway"] is not None


def test_a_stand_in_marks_every_figure(
    puppet: Puppet, free_port: int, version: ModelVersion
) -> None:
    puppet.do(f"listen 127.0.0.1 {free_port}")
    servers = Servers({"tfserving": Address(f"http://127.0.0.1:{free_port}", STAND_IN)})
    servers.loaded()
    (entry,) = servers.entries(version, {})
    assert entry.stand_in == STAND_IN
    assert entry.first_prediction.remark == "not measured"
    assert {figure.stand_in for figure in _figures(entry).values()} == {STAND_IN}


def test_a_server_that_is_not_here(free_port: int, version: ModelVersion) -> None:
    servers = Servers({"triton": Address(f"http://127.0.0.1:{free_port}")})
    servers.loaded()
    (entry,) = servers.entries(version, {})
    assert servers.families == {"triton": None}
    assert entry.processes == []
    for figure in _figures(entry).values():
        assert figure.value is None
        assert figure.remark


def test_a_server_that_was_started_again(
    make_puppet: MakePuppet, free_port: int, version: ModelVersion
) -> None:
    address = {"gateway": Address(f"http://127.0.0.1:{free_port}")}
    one = make_puppet()
    one.do(f"listen 127.0.0.1 {free_port}")
    servers = Servers(address)
    one.process.kill()
    one.process.wait()
    other = make_puppet("other")
    other.do(f"listen 127.0.0.1 {free_port}")
    servers.loaded()
    (entry,) = servers.entries(version, {})
    assert entry.processes == ["python: other"]
    assert entry.memory_loaded.value is not None
    assert entry.memory_loaded.remark == "after a restart"
