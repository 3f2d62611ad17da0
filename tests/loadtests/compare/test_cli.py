"""The command: what it refuses in one line, and one small comparison from end to end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from loadtests.compare.cli import compare
from loadtests.compare.report import read_json
from serving.launch.environment import python_path
from tests.conftest import MIXED, ROOT, write_model
from tests.loadtests.compare.comparing import against

APP = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
APP.command()(compare)
SMALL = [
    "--rounds=2", "--duration=0.2", "--clients=1", "--batches=4", "--rates=50", "--rows=150",
    "--cold-starts=0", "--price=0.04",
]  # fmt: skip


def run(*arguments: str) -> Result:
    return CliRunner().invoke(APP, arguments)


def refused(*arguments: str) -> str:
    """The one line with which it ends."""
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("error: ").strip()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--clients", "one"),
        ("--clients", "0"),
        ("--clients", ""),
        ("--clients", "2.5"),
        ("--batches", "8,-1"),
        ("--batches", "nan"),
        ("--rates", "100,inf"),
        ("--rates", ","),
    ],
)
def test_numbers_that_are_none(option: str, value: str) -> None:
    result = run(f"{option}={value}")
    assert result.exit_code == 2
    assert f"Invalid value for {option}: {value!r} is not like 1,8,64" in " ".join(
        result.stderr.split()
    )


@pytest.mark.parametrize(
    "given", ["--duration=0", "--rounds=0", "--cold-starts=-1", "--price=-1", "--seed=-1", "--x"]
)
def test_options_out_of_their_range(given: str) -> None:
    result = run(given)
    assert result.exit_code == 2
    assert given.split("=")[0] in result.stderr


def test_no_gateway(free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    assert refused("--url", url).startswith(f"{url}/v1/models: ")


def test_no_folder_for_a_report(tmp_path: Path) -> None:
    # Said before anything is asked or measured.
    for option in ("--report", "--json", "--markdown"):
        path = tmp_path / "nowhere" / "out"
        assert refused(option, str(path)) == f"{path.parent}: there is no such folder"
    assert refused("--report", str(tmp_path)) == f"{tmp_path}: is a folder"


def test_builds_that_could_not_be_measured(tmp_path: Path) -> None:
    # Said before anything is asked or measured, too.
    build = f"--build=torchserve={tmp_path}"
    assert refused(build, "--image=gateway=g") == (
        "--build torchserve=…: name its image, too: --image torchserve=…"
    )
    said = f"--build torchserve=…: there is no {tmp_path / 'Dockerfile'}"
    assert refused(build, "--image=torchserve=t") == said
    assert refused(f"{build}/Dockerfile", "--image=torchserve=t") == said


def test_images_that_would_have_no_place(lonely_gateway: str, tmp_path: Path) -> None:
    url = f"--url={lonely_gateway}"
    assert refused(url, "--image=torchserv=t") == (
        "--image: no server 'torchserv' is compared; there is: gateway"
    )
    assert refused(url, "--image=gateway=g", f"--repository={tmp_path}") == (
        "--image needs the gateway's model repository (--repository)"
    )


def test_no_model_to_start_with(tmp_path: Path) -> None:
    assert refused("--up", f"--repository={tmp_path / 'none'}").startswith(f"{tmp_path / 'none'}: ")


def test_another_model_than_the_repository_holds(lonely_gateway: str, tmp_path: Path) -> None:
    write_model(tmp_path / "weight-change", MIXED | {"name": "weight-change"})
    said = refused(f"--url={lonely_gateway}", f"--repository={tmp_path}")
    assert said == (
        f"{tmp_path} holds another weight-change than {lonely_gateway} serves (--repository)"
    )


def test_a_backend_that_does_not_answer(lonely_gateway: str) -> None:
    said = refused(f"--url={lonely_gateway}", "--backends=onnx,torchserve")
    assert said.startswith("torchserve/pytorch was not compared: ")


def test_a_candidate_that_is_not_there(lonely_gateway: str) -> None:
    said = refused(f"--url={lonely_gateway}", "--backends=onnx", "--candidate=openvino")
    assert said == "there is no candidate 'openvino': onnx/pytorch, onnx/tensorflow"


def test_a_file_of_rows_that_is_not_there(lonely_gateway: str, tmp_path: Path) -> None:
    assert str(tmp_path / "rows") in refused(
        f"--url={lonely_gateway}", f"--rows={tmp_path / 'rows'}"
    )


def run_process(
    command: list[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


async def test_a_whole_comparison(tmp_path: Path) -> None:
    out = {form: tmp_path / f"out.{form}" for form in ("html", "json", "md")}
    command = [sys.executable, "-m", "gateway", "compare", *SMALL]
    command += [f"--report={out['html']}", f"--json={out['json']}", f"--markdown={out['md']}"]
    async with against(tmp_path / "stage", "none") as front:
        command += [f"--url={front.url}", f"--repository={tmp_path / 'stage' / 'repository'}"]
        environment = {"PATH": "", "NO_COLOR": "1", **python_path()}
        done = await asyncio.to_thread(run_process, command, environment)
    assert done.returncode == 0, done.stderr
    for path in out.values():
        assert f"written: {path}" in done.stdout
    found = read_json(out["json"])
    assert found.command.startswith("gateway compare --rounds=2 ")
    assert [subject.name for subject in found.subjects] == [
        "onnx/pytorch",
        "torchserve/pytorch",
        "torchserve/pytorch direct",
    ]
    (parity,) = found.parity
    assert parity.verdict == "equivalent"
    assert {(p.shape, p.connections, p.rate, p.rows) for p in found.points} == {
        ("closed", 1, None, 1),
        ("batch", 1, None, 4),
        ("open", 256, 50, 1),
    }
    assert len(found.points) == 3 * 3
    assert all(point.error_share.value == 0 for point in found.points)
    assert [server.name for server in found.servers] == ["gateway", "torchserve"]
    for used in found.usage:
        assert used.cpu.value is not None
        assert used.price is not None
    # What a gateway asks for a prediction is paid with the backend's; who is asked directly is not.
    by_server = {used.subject: set(used.by_server) for used in found.usage}
    assert by_server["torchserve/pytorch"] == {"gateway", "torchserve"}
    assert by_server["torchserve/pytorch direct"] == {"torchserve"}
    for text in (done.stdout, out["html"].read_text(), out["md"].read_text()):
        assert "equivalent" in text
        assert parity.evidence.split(";")[0] in " ".join(text.split())
    assert len(found.figures()) > 100
