"""The three works, how their inputs and answers travel, and whether an answer is right."""

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent
CLOSE = 1e-4
"""How far probabilities may be apart."""


@dataclass(frozen=True, slots=True)
class Work:
    """One of the three works: the function's folder, the examples' field that holds the numbers, "" where it is text."""

    name: str
    folder: Path
    field: str = ""
    answer_field: str = ""

    @property
    def model(self) -> str:
        return str(self.folder / "model.onnx") if self.field else ""


WORKS = {
    work.name: work
    for work in (
        Work("echo", PEERS.parent / "functions" / "echo"),
        Work("tiny", PEERS.parent / "functions" / "tiny", "features", "probabilities"),
        Work("medium", PEERS / "functions" / "medium", "features", "probabilities"),
    )
}


class Dialect(StrEnum):
    """How an input travels."""

    PLAIN = "the input itself"
    OURS = "the input itself; a text comes back as text/plain, as servelite has it"
    LIST = "a list of one"
    V2 = "Open Inference Protocol"

    def pack(self, work: Work, given: Any) -> bytes:
        """Return the body that asks for the answer to an input."""
        return json.dumps(self._packed(work, given)).encode()

    def _packed(self, work: Work, given: Any) -> Any:
        if self in {Dialect.PLAIN, Dialect.OURS}:
            return given
        if self is Dialect.LIST:
            return [given]
        if not work.field:
            return {"inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [given]}]}
        numbers = given[work.field]
        return {"inputs": [{"name": work.field, "shape": [1, len(numbers)], "datatype": "FP32", "data": numbers}]}

    def unpack(self, work: Work, body: bytes) -> Any:
        """Return the answer in a body: a text or a list of numbers. Whatever is raised means that it is none."""
        if self is Dialect.OURS and not work.field:
            return body.decode()
        answer = json.loads(body)
        if self is Dialect.V2:
            (output,) = answer["outputs"]
            return output["data"] if work.field else output["data"][0]
        if self is Dialect.LIST:
            (answer,) = answer
        return answer[work.answer_field] if work.field else answer


def is_right(expected: Any, answer: Any) -> bool:
    """Return whether an answer is what onnxruntime gives; in float32 a batch adds up in another order than a single row."""
    if isinstance(expected, str) or isinstance(answer, str):
        return bool(expected == answer)
    pairs = zip(expected, answer, strict=True)
    return all(math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE) for a, b in pairs)
