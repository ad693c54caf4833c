"""MLServer: a custom runtime that speaks the Open Inference Protocol (v2); PROCESSES=0 runs it in the server's own process.

Its own codecs and pydantic models check what comes in. `python with_mlserver.py` writes its settings into the working directory and
starts `mlserver start` there.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from work import IS_ECHO, PORT, WIDTH, number, open_model


class Work(MLModel):
    """Whole requests, which MLServer has joined along their first axis where it batches."""

    async def load(self) -> bool:
        self._session = None if IS_ECHO else open_model(number("THREADS", 1))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return InferenceResponse(model_name=self.name, outputs=[self._echo(payload) if self._session is None else self._classify(payload)])

    def _echo(self, payload: InferenceRequest) -> ResponseOutput:
        return StringCodec.encode_output("text", StringCodec.decode_input(payload.inputs[0]))

    def _classify(self, payload: InferenceRequest) -> ResponseOutput:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        if rows.shape[1:] != (WIDTH,):
            raise MLServerError(f"features has the shape {rows.shape}, not [n, {WIDTH}].", 422)
        (probabilities,) = self._session.run(None, {"features": rows.astype(np.float32, copy=False)})
        return NumpyCodec.encode_output("probabilities", probabilities)


if __name__ == "__main__":
    ports = {"http_port": PORT, "grpc_port": number("GRPC_PORT", 0), "metrics_port": number("METRICS_PORT", 0)}
    settings = {"host": "127.0.0.1", "parallel_workers": number("PROCESSES", 0), "debug": False, "metrics_endpoint": None, **ports}
    batching = {"max_batch_size": number("BATCH", 0), "max_batch_time": number("WAIT_MS", 0) / 1000}
    Path("settings.json").write_text(json.dumps(settings))
    Path("model-settings.json").write_text(json.dumps({"name": "work", "implementation": "with_mlserver.Work", **batching}))
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    program = str(Path(sys.executable).with_name("mlserver"))
    os.execv(program, [program, "start", "."])
