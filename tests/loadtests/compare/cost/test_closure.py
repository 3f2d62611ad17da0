from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.compare.cost.closure import closure, files
from loadtests.compare.cost.disk import size_mb
from tests.loadtests.compare.cost.conftest import MakeDistribution


def test_markers_and_extras_decide(site: Path, install: MakeDistribution) -> None:
    install(
        "app",
        requires=(
            "Some_Library>=1",
            "elsewhere; sys_platform == 'nowhere'",
            "engine[fast]; extra == 'serve'",
            "tester; extra == 'test'",
        ),
    )
    install("some-library", requires=("app",))  # a circle
    install("engine", requires=("wheel-of-it; extra == 'fast'", "slow; extra == 'slow'"))
    install("wheel-of-it")
    path = [str(site)]
    assert set(closure("app", path).found) == {"app", "some-library"}
    served = closure("app[serve]", path)
    assert set(served.found) == {"app", "some-library", "engine", "wheel-of-it"}
    assert served.missing == []
    assert closure("app[serve,test]", path).missing == ["tester"]
    assert closure("nothing-of-this", path).missing == ["nothing-of-this"]


@pytest.mark.parametrize("requires", [("engine", "other"), ("other", "engine")])
def test_an_extra_met_later_counts_too(
    site: Path, install: MakeDistribution, requires: tuple[str, ...]
) -> None:
    install("app", requires=requires)
    install("other", requires=("engine[fast]",))
    install("engine", requires=("wheel-of-it; extra == 'fast'",))
    install("wheel-of-it")
    assert "wheel-of-it" in closure("app", [str(site)]).found


def test_the_record_names_the_files(site: Path, install: MakeDistribution) -> None:
    record = 'folder/inside.txt,,\ngone.txt,,\napp.bin,,\n"comma,name.txt",,\n'
    info = install("app", 300, record=record)
    (site / "folder").mkdir()
    (site / "folder" / "inside.txt").write_bytes(b"x" * 20)
    (site / "folder" / "not-listed.txt").write_bytes(b"x" * 5000)
    (site / "comma,name.txt").write_bytes(b"x")
    found = closure("app", [str(site)]).found["app"]
    listed = files(found)
    assert listed is not None
    assert size_mb(listed) * 1e6 == 321
    (info / "RECORD").unlink()
    assert files(found) is None


def test_an_editable_distribution_is_its_source(
    tmp_path: Path, site: Path, install: MakeDistribution
) -> None:
    source = tmp_path / "the source"
    (source / "package" / "__pycache__").mkdir(parents=True)
    (source / "package" / "code.py").write_bytes(b"#" * 70)
    (source / "package" / "__pycache__" / "code.pyc").write_bytes(b"#" * 900)
    (source / "tests.py").write_bytes(b"#" * 800)
    info = install("app", 4000)
    origin = {"url": source.as_uri(), "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(origin))
    (info / "top_level.txt").write_text("package\n")
    listed = files(closure("app", [str(site)]).found["app"])
    assert listed is not None
    assert size_mb(listed) * 1e6 == 70


def test_a_file_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "file"
    file.write_bytes(b"x" * 10)
    (tmp_path / "a" / "again").hardlink_to(file)
    (tmp_path / "a" / "link").symlink_to(file)
    (tmp_path / "a" / "away").symlink_to("/nowhere/at/all")
    paths = [tmp_path / "a", file, tmp_path / "missing"]
    assert size_mb(paths) * 1e6 == 10
