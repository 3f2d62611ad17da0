"""Everybody who is put under load, with what is sent for them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

import msgspec

from gateway.client import KEY_VARIABLE
from gateway.models.repository import ModelVersion
from loadtests.compare.advice.cases import GATEWAY
from loadtests.compare.cost.meter import Meter
from loadtests.compare.cost.processes import Family
from loadtests.compare.direct import direct, record
from loadtests.compare.load.http1 import encode
from loadtests.compare.options import Options
from loadtests.compare.results import Subject
from loadtests.compare.speed import Runner
from loadtests.compare.subjects import Offer
from loadtests.payloads import Payload, generated

#: Different bodies of a load, sent in turn.
_BODIES = 64


def key_headers() -> dict[str, str]:
    """The header for a gateway that wants a key, from the environment; empty without one."""
    key = os.environ.get(KEY_VARIABLE)
    return {"X-API-Key": key} if key else {}


async def make_runners(
    offer: Offer,
    options: Options,
    version: ModelVersion | None,
    families: Mapping[str, Family | None],
) -> tuple[list[Runner], list[str]]:
    """A runner for each subject, and for each server that is asked directly, too.

    The second part says who was not, and why. ``version`` None: nobody is asked directly.
    ``families`` are the processes of each server, the gateway's among them. Raises ``CompareError``
    where an adapter cannot be used here.
    """
    bodies = {
        size: [generated(offer.manifest, size, seed) for seed in range(_BODIES)]
        for size in (1, *options.batches)
    }
    runners = [
        Runner(
            subject,
            offer.url,
            {size: _requests(offer, subject, some) for size, some in bodies.items()},
            Meter(_taking_part(subject, families)),
        )
        for subject in offer.subjects
    ]
    left_out = []
    for subject in offer.subjects:
        asked = direct(subject) if options.direct else None
        if asked is None or asked.server is None or version is None:
            continue
        if subject.stand_in is not None:
            left_out.append(
                f"{subject.backend} was not asked directly: a stand-in ({subject.stand_in}) "
                "answers in its place, whose speed says nothing of it"
            )
            continue
        recorded = {size: await record(asked, version, some) for size, some in bodies.items()}
        runners.append(Runner(asked, asked.server, recorded, Meter(_taking_part(asked, families))))
    return runners, left_out


def _requests(offer: Offer, subject: Subject, bodies: Iterable[list[Payload]]) -> list[bytes]:
    """Whole HTTP requests to the gateway."""
    query = {
        "backend": subject.backend,
        "lineage": subject.lineage,
        "model": offer.manifest.name,
        "version": offer.version,
    }
    path = f"/v1/predict?{urlencode(query)}"
    texts = (
        msgspec.json.encode(rows[0] if len(rows) == 1 else {"instances": rows}) for rows in bodies
    )
    return [encode("POST", offer.url, path, key_headers(), text.decode()) for text in texts]


def _taking_part(
    subject: Subject, families: Mapping[str, Family | None]
) -> dict[str, Family | None]:
    """The servers whose time its predictions take."""
    names = [] if subject.direct else [GATEWAY]
    names += [subject.backend] if subject.server is not None else []
    return {name: families[name] for name in names}
