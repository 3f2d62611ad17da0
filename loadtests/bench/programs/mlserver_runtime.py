# mypy: disable-error-code="import-not-found, misc, unused-ignore"
"""MLServer with a custom runtime around ONNX Runtime."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from session import Session


class WeightChange(MLModel):
    """Open Inference Protocol V2: one input of shape [n, 1] per feature, one output."""

    async def load(self) -> bool:
        """Load the graph."""
        self.session = Session()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One ``session.run`` for all rows of the request."""
        columns = {
            tensor.name: StringCodec.decode_input(tensor)
            if tensor.datatype == "BYTES"
            else NumpyCodec.decode_input(tensor)
            for tensor in payload.inputs
        }
        values = np.array(self.session.run(columns), dtype=np.float32).reshape(-1, 1)
        output = NumpyCodec.encode_output("weight_change", values)
        return InferenceResponse(model_name=self.name, outputs=[output])
