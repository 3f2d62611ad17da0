"""The digit-three payload: one picture in, the probability that it is a 3 out."""

from __future__ import annotations

from gateway.models.manifest import BackendSpec, Feature, Manifest, Output
from serving import layout

NAME = "digit-three"
SIDE = 28
#: From this probability on the picture is called a 3.
THRESHOLD = 0.5

IMAGE = Feature(
    "image",
    "image",
    "One handwritten digit, light on dark, filling the picture.",
    mode="L",
    size=(SIDE, SIDE),
    layout="HW",
    dtype="uint8",
)

TARGET = Output(
    "probability",
    "Probability that the digit is a 3.",
    labels=("no 3", "3"),
    threshold=THRESHOLD,
)

MANIFEST = Manifest(
    name=NAME,
    description="Whether a picture of a handwritten digit shows a 3, by a small convolution net.",
    features=(IMAGE,),
    outputs=(TARGET,),
    backends={
        "onnx": BackendSpec({"pytorch": {"artifact": layout.PYTORCH}}),
        "torchserve": BackendSpec({"pytorch": {"model": NAME}}),
    },
)
