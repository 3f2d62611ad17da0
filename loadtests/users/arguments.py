"""What the users add to Locust's own arguments; all but ``--record`` stand on its web page, too."""

from __future__ import annotations

from locust.argument_parser import LocustArgumentParser

from loadtests.users.plan import Plan
from loadtests.users.shapes import SHAPES


def add_arguments(parser: LocustArgumentParser) -> None:
    """A listener for Locust's event ``init_command_line_parser``."""
    default = Plan()

    def add(name: str, value: float, text: str) -> None:
        parser.add_argument(
            name, type=type(value), default=value, help=f"{text} [default: {value:g}]"
        )

    shapes = "; ".join(f"{name}: {shape.words}" for name, shape in SHAPES.items())
    parser.add_argument(
        "--shape",
        choices=list(SHAPES),
        default=default.shape,
        help=f"How the number of users changes. {shapes} [default: {default.shape}]",
    )
    add("--ramp-steps", default.ramp_steps, "ramp: steps in which --users are reached")
    add(
        "--spike-base-users",
        default.spike_base_users,
        "spike: users before and after it; 0 is a tenth of --users",
    )
    add(
        "--spike-at-seconds",
        float(default.spike_at_seconds),
        "spike: when it comes; 0 is after a third of the time",
    )
    add(
        "--spike-seconds",
        float(default.spike_seconds),
        "spike: how long it lasts; 0 is a third of the time",
    )
    add("--soak-share", default.soak_share, "soak: the part of --users that is there")
    add("--pause-seconds", 0.0, "Pause of a user between an answer and the next request")
    add("--give-up-seconds", 10.0, "Seconds after which a missing answer is a failure")
    parser.add_argument(
        "--record",
        default="",
        metavar="FILE",
        include_in_web_ui=False,
        help="Write what came of the run here, as JSON; for `python -m loadtests.compare`",
    )
