"""A picture to a real TorchServe: alone, and through the gateway beside ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from gateway.models.manifest import Manifest
from tests.conftest import ROOT, MakeClient
from tests.handlers.live import live
from tests.pictures import draw, encoded, text

EXAMPLES = ROOT / "serving" / "examples"
OTHER = encoded(draw((40, 30)), "JPEG")


@pytest.mark.java
async def test_both_backends_see_the_same_in_a_picture(
    tmp_path: Path, make_client: MakeClient
) -> None:
    async with live(tmp_path, EXAMPLES, make_client) as (server, client):
        data = aiohttp.FormData()
        data.add_field("image", OTHER, filename="other.jpeg")
        content = await (await client.post("/v1/compare", data=data)).json()
        assert [result["error"] for result in content["results"]] == [None, None]
        labels = {result["predictions"][0]["label"] for result in content["results"]}
        assert len(labels) == 1
        (agreement,) = content["agreement"]
        assert (agreement["backends"], agreement["agree"]) == (["onnx", "torchserve"], True)

        url = f"{server.url}/predictions/digit-three"
        example = Manifest.load(EXAMPLES / "digit-three").example
        async with aiohttp.ClientSession() as session:
            async with session.post(url, json=example) as reply:
                assert (await reply.json(content_type=None))["label"] == "3"
            headers = {"Content-Type": "image/jpeg"}
            async with session.post(url, data=OTHER, headers=headers) as reply:
                direct = await reply.json(content_type=None)
            # More than TorchServe takes by default, and less than the gateway does.
            noise = encoded(draw((1_300, 1_300, 3)))
            assert len(text(noise)) > 6_553_500
            async with session.post(url, json={"image": text(noise)}) as reply:
                assert (await reply.json(content_type=None))["label"] == "no 3"
        through = content["results"][1]["predictions"][0]
        assert direct["probability"] == pytest.approx(through["probability"], abs=1e-5)
