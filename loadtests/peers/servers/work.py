"""The three works, as every peer does them: checked input, one run of the model for a batch, a checked answer as JSON.

What a server is to do stands in its environment: WORK is the work's name, MODEL the path of its model ("" for echo), THREADS the
threads of one run. Other settings have names of their own, read with `number`.
"""

import os
from typing import Any

import numpy as np
import onnxruntime
from pydantic import BaseModel, Field, TypeAdapter

WORK, MODEL = os.environ["WORK"], os.environ["MODEL"]
PORT = int(os.environ["PORT"])
WIDTH = {"echo": 0, "tiny": 64, "medium": 384}[WORK]
IS_ECHO = WORK == "echo"


class Features(BaseModel):
    """What is to be classified."""

    features: list[float] = Field(min_length=WIDTH, max_length=WIDTH)


class Classes(BaseModel):
    """How probable each class is."""

    probabilities: list[float] = Field(min_length=10, max_length=10)


Input: Any = str if IS_ECHO else Features
Output: Any = str if IS_ECHO else Classes
_input, _output = TypeAdapter(Input), TypeAdapter(Output)


def number(name: str, default: int) -> int:
    """Return a setting from the environment."""
    return int(os.environ.get(name, default))


def read(body: bytes) -> Any:
    """Return the checked input of a body; pydantic's ValidationError where it is none."""
    return _input.validate_json(body)


def write(answer: Any) -> bytes:
    """Return an answer's body."""
    return _output.dump_json(answer)


class Model:
    """The work itself, on lists of inputs."""

    def __init__(self) -> None:
        self._session = None if IS_ECHO else open_model(number("THREADS", 1))

    def __call__(self, batch: list[Any]) -> list[Any]:
        if self._session is None:
            return batch
        rows = np.array([one.features for one in batch], dtype=np.float32)
        (probabilities,) = self._session.run(None, {"features": rows})
        return [Classes(probabilities=row) for row in probabilities.tolist()]


def open_model(threads: int) -> onnxruntime.InferenceSession:
    """Open the model; its threads do not spin while they wait, which every server on two cores is better off without."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
