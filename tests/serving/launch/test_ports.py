"""Which ports are free."""

from __future__ import annotations

from serving.launch.ports import free_ports
from serving.launch.torchserve import TorchServePorts


def test_those_found_at_once_are_different() -> None:
    assert len(set(free_ports(300))) == 300


def test_only_zeros_are_replaced() -> None:
    found = TorchServePorts(0, 1, 0, 2, 0).resolved()
    assert (found.management, found.grpc_inference) == (1, 2)
    assert len({found.inference, found.metrics, found.grpc_management, 0}) == 4
