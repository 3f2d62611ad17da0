from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.bench.environments import Environment
from loadtests.bench.errors import BenchError


def test_an_environment_is_made_once_and_again_for_other_requirements(tmp_path: Path) -> None:
    package = tmp_path / "nothing"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (package / "backend.py").write_text(_BACKEND)
    environment = Environment(tmp_path / "env", ["--no-index", str(package)])
    assert not environment.installed
    environment.install()
    assert environment.installed
    assert (environment.packages / "nothing.py").is_file()
    made = environment.python.stat().st_ctime_ns
    environment.install()
    assert environment.python.stat().st_ctime_ns == made
    assert not Environment(tmp_path / "env", ["other==1"]).installed


def test_what_cannot_be_installed_says_so(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "env", ["--no-index", "no-such-package==1"])
    with pytest.raises(BenchError, match="no-such-package"):
        environment.install()
    assert not environment.installed


_BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "nothing-1-py3-none-any.whl"
    info = "nothing-1.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("nothing.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: nothing\\nVersion: 1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
                       "Tag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
