from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loadtests.compare.cost.processes import Family, listener
from loadtests.compare.errors import CompareError
from tests.conftest import REPOSITORY
from tests.loadtests.compare.cost.conftest import MakePuppet, Puppet


def _pid(url: str) -> int | None:
    found = listener(url)
    return None if found is None else found.pid


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"])
def test_who_listens_is_found(puppet: Puppet, free_port: int, address: str) -> None:
    assert listener(f"http://127.0.0.1:{free_port}") is None
    puppet.do(f"listen {address} {free_port}")
    assert _pid(f"http://127.0.0.1:{free_port}/v1") == puppet.pid
    assert _pid(f"grpc://localhost:{free_port}") == puppet.pid


def test_workers_that_share_a_port_lead_to_their_supervisor(puppet: Puppet, free_port: int) -> None:
    for _ in range(2):
        puppet.do(f"spawn {puppet.script} serve --worker")
        puppet.do(f"tell listen 127.0.0.1 {free_port}")
    assert _pid(f"http://127.0.0.1:{free_port}") == puppet.pid


def test_the_workers_of_a_gateway(free_port: int) -> None:
    arguments = ["serve", "--workers", "2", "--port", str(free_port), "--repository"]
    command = [sys.executable, "-m", "gateway", *arguments, str(REPOSITORY)]
    url = f"http://127.0.0.1:{free_port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
        try:
            deadline = time.monotonic() + 60
            while (family := Family.at(url)) is None:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert family.root.pid == one.pid
            # The second worker is started once the first listens.
            while (names := family.names()) != ["python: gateway ×3"]:
                assert time.monotonic() < deadline, names
                time.sleep(0.05)
        finally:
            one.send_signal(signal.SIGINT)  # skips the grace of SIGTERM


def test_who_started_a_server_is_no_part_of_it(make_puppet: MakePuppet, free_port: int) -> None:
    launcher, served = make_puppet("launcher"), make_puppet("served")
    launcher.do(f"spawn {served.script} serve")
    launcher.do(f"tell listen 127.0.0.1 {free_port}")
    (child,) = psutil.Process(launcher.pid).children()
    assert _pid(f"http://127.0.0.1:{free_port}") == child.pid


def test_another_command_of_the_same_program_is_no_supervisor(
    puppet: Puppet, free_port: int
) -> None:
    # As `gateway up` is to the `gateway serve` it starts.
    puppet.do(f"spawn {puppet.script} other")
    puppet.do(f"tell listen 127.0.0.1 {free_port}")
    assert _pid(f"http://127.0.0.1:{free_port}") != puppet.pid


def test_who_only_forwards_is_not_the_server(make_puppet: MakePuppet, free_port: int) -> None:
    make_puppet("docker-proxy").do(f"listen 127.0.0.1 {free_port}")
    assert listener(f"http://127.0.0.1:{free_port}") is None


def test_other_machines_have_no_process_here(
    puppet: Puppet, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    puppet.do(f"listen 0.0.0.0 {free_port}")
    assert listener(f"http://192.0.2.1:{free_port}") is None

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert listener(f"http://nobody.invalid:{free_port}") is None


def test_an_address_without_a_port_is_refused() -> None:
    with pytest.raises(CompareError, match="http://host:port"):
        listener("nonsense")


def test_a_family_follows_children_that_come_and_go(puppet: Puppet) -> None:
    family = Family(psutil.Process(puppet.pid))
    puppet.do("hold 1")
    alone = family.rss_mb()
    assert alone > 5
    assert family.names() == ["python: served"]
    puppet.do(f"spawn {puppet.script} serve")
    puppet.do(f"spawn {puppet.script} serve")
    puppet.do("tell hold 50")
    assert family.names() == ["python: served ×3"]
    assert family.rss_mb() > alone + 50
    puppet.do("reap")
    assert family.names() == ["python: served ×2"]


def test_the_time_of_children_that_have_ended_counts(puppet: Puppet) -> None:
    family = Family(psutil.Process(puppet.pid))
    puppet.do(f"spawn {puppet.script} serve")
    before = family.cpu_s()
    puppet.do("burn 0.2")
    puppet.do("tell burn 0.3")
    alive = family.cpu_s()
    assert 0.45 < alive - before < 1.5
    puppet.do("reap")
    assert alive <= family.cpu_s() < alive + 0.5


def test_time_never_runs_backwards_while_children_come_and_go(puppet: Puppet) -> None:
    family = Family(psutil.Process(puppet.pid))
    puppet.start("churn 20")
    readings: list[float] = []
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and len(readings) < 200:
        readings.append(family.cpu_s())
    puppet.wait()
    readings.append(family.cpu_s())
    assert readings == sorted(readings)
    assert readings[-1] - readings[0] > 0.1


def test_a_family_whose_first_has_ended(puppet: Puppet) -> None:
    family = Family(psutil.Process(puppet.pid))
    assert family.alive
    puppet.process.kill()
    puppet.process.wait()
    assert not family.alive
    for read in (family.rss_mb, family.cpu_s, family.names, family.processes):
        with pytest.raises(CompareError, match=f"process {puppet.pid} has ended"):
            read()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([sys.executable, "-u", "-m", "http.server", "--bind=127.0.0.1", "0"], "http.server"),
        ([sys.executable, "-W", "ignore", "-c", "import time; time.sleep(60)"], "-c"),
    ],
)
def test_names_are_short(arguments: list[str], name: str) -> None:
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
        try:
            process = psutil.Process(one.pid)
            while not process.cmdline():  # the kernel shows it a moment after the program began
                time.sleep(0.01)
            assert Family(process).names() == [f"python: {name}"]
        finally:
            one.kill()


def test_other_programs_are_called_by_their_file(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as one:
        try:
            assert Family(psutil.Process(one.pid)).names() == ["sleep"]
        finally:
            one.kill()
