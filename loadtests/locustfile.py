"""Locust's users, a class per backend, made from the model's manifest.

With a page of its own on port 8089, where users, shape and time are chosen::

    locust -f loadtests/locustfile.py --host http://127.0.0.1:8000 --class-picker

or without one, the users of one backend for half a minute::

    locust -f loadtests/locustfile.py --host … --headless -u 16 -r 16 -t 30s TorchserveUser

``--list`` names the classes; ``--tags single``, ``batch`` or ``errors`` takes only these requests.
Locust's ``--help`` does not know what this file adds, its web page does:

``--shape``
    ``steady``: ``--users`` all the time; ``ramp``: up to them in ``--ramp-steps`` equal steps;
    ``spike``: ``--spike-base-users`` (a tenth), at ``--spike-at-seconds`` (a third of the time)
    suddenly all, for ``--spike-seconds`` (a third); ``soak``: ``--soak-share`` (half) of them for
    long. ``--run-time`` is without end for steady, two minutes for ramp and spike, an hour for soak
    unless it is given.
``--pause-seconds``
    between an answer and a user's next request (0).
``--give-up-seconds``
    after which a missing answer is a failure (10).
``--record``
    a file for what came of a headless run, second by second.

The model is the only one in ``serving/repository`` unless ``LOADTEST_REPOSITORY`` and
``LOADTEST_MODEL`` say otherwise; a gateway that wants a key gets that in ``GATEWAY_API_KEY``.
"""

from __future__ import annotations

import sys

from locust import events, stats

from loadtests.compare.errors import CompareError
from loadtests.users import shapes
from loadtests.users.arguments import add_arguments
from loadtests.users.manifests import load_manifest
from loadtests.users.recorder import attach, fine_bucket
from loadtests.users.user import user_classes

try:
    globals().update(user_classes(load_manifest()))
except CompareError as error:
    sys.exit(str(error))

# Without its class picker Locust takes the first shape it finds here.
ShapeOption = shapes.ShapeOption
Ramp, Spike, Soak = shapes.Ramp, shapes.Spike, shapes.Soak

stats.bucket_response_time = fine_bucket  # type: ignore[assignment]
events.init_command_line_parser.add_listener(add_arguments)  # type: ignore[no-untyped-call]
events.init.add_listener(attach)  # type: ignore[no-untyped-call]
