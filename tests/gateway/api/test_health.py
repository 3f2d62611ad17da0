"""``GET /v1/backends``: what an adapter adds does not hide what the gateway says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.backends import MemoryBackend, Target
from tests.conftest import MIXED, MakeClient, write_model


class Boasting(MemoryBackend):
    """An adapter that tells more than it is asked."""

    def facts(self, target: Target) -> Mapping[str, Any]:
        return {"model": "another", "ready": False, "region": "south"}


async def test_the_gateways_own_fields_stand(make_client: MakeClient, tmp_path: Path) -> None:
    write_model(tmp_path / "mixed", MIXED | {"backends": {"memory": {"lineages": {"only": {}}}}})
    backend = Boasting(lambda rows: {"total": rows.columns["count"], "named": rows.columns["name"]})
    client = await make_client(tmp_path, {"memory": backend})
    (entry,) = (await (await client.get("/v1/backends")).json())["backends"]
    (model,) = entry["models"]
    assert (model["model"], model["ready"], model["region"]) == ("mixed", True, "south")
