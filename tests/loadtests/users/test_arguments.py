"""What the users add to Locust's own arguments."""

from __future__ import annotations

import ast

import pytest
from locust.argument_parser import LocustArgumentParser

from loadtests.users.arguments import add_arguments
from loadtests.users.plan import Plan
from loadtests.users.shapes import SHAPES
from tests.conftest import ROOT


@pytest.fixture
def parser() -> LocustArgumentParser:
    made = LocustArgumentParser()
    # Locust's own, of which the plan reads these.
    for name, kind in (("num_users", int), ("run_time", int), ("spawn_rate", float)):
        made.add_argument(f"--{name}", type=kind)
    add_arguments(made)
    return made


def test_the_defaults_are_the_plans(parser: LocustArgumentParser) -> None:
    assert Plan.of(parser.parse_args([])) == Plan()


def test_every_number_can_be_set(parser: LocustArgumentParser) -> None:
    given = Plan(
        shape="spike",
        users=9,
        seconds=30,
        spawn_rate=2.5,
        ramp_steps=4,
        spike_base_users=3,
        spike_at_seconds=5.5,
        spike_seconds=6,
        soak_share=0.75,
    )
    names = {"users": "num_users", "seconds": "run_time", "spawn_rate": "spawn_rate"}
    words = []
    for name in Plan.__struct_fields__:
        option = names.get(name, name.replace("_", "-"))
        words += [f"--{option}", str(getattr(given, name))]
    assert Plan.of(parser.parse_args(words)) == given


def test_the_web_page_has_all_but_the_file(parser: LocustArgumentParser) -> None:
    shown = set(parser.args_included_in_web_ui)
    assert {"shape", "pause_seconds", "give_up_seconds", "soak_share"} < shown
    assert "record" not in shown
    shape = parser.args_included_in_web_ui["shape"]
    assert list(shape.choices or ()) == list(SHAPES)
    assert all(f"{name}: {each.words}" in (shape.help or "") for name, each in SHAPES.items())


def test_the_locustfile_explains_each_because_locusts_help_cannot(
    parser: LocustArgumentParser,
) -> None:
    text = (ROOT / "loadtests" / "locustfile.py").read_text(encoding="utf-8")
    explained = ast.get_docstring(ast.parse(text)) or ""
    added = [action.option_strings[-1] for action in parser._actions]
    own = [name for name in added if "_" not in name and name not in ("--help", "--config")]
    assert len(own) > 7
    assert [name for name in own if f"``{name}``" not in explained] == []
