"""Make model.onnx and examples.jsonl again: one Gemm and one Softmax with random but fixed weights.

Written without the `onnx` package, which servelite does not need: the file is one protobuf message, and
protobuf is "field number and type, then the value", so that ten lines write it. The numbers of the fields
are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).parent
FEATURES, CLASSES = 64, 10
FLOAT32, IR_VERSION, OPSET = 1, 8, 17


def number(field: int, value: int) -> bytes:
    """Write an integer field."""
    return varint(field << 3) + varint(value)


def chunk(field: int, value: bytes | str) -> bytes:
    """Write a field that is text, bytes or another message."""
    content = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Write an integer seven bits a byte, the lowest first; the top bit says that more follow."""
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def node(operator: str, inputs: list[str], output: str) -> bytes:
    """Write a NodeProto."""
    return b"".join(chunk(1, name) for name in inputs) + chunk(2, output) + chunk(4, operator)


def tensor(name: str, values: np.ndarray) -> bytes:
    """Write a TensorProto."""
    return b"".join(number(1, size) for size in values.shape) + number(2, FLOAT32) + chunk(8, name) + chunk(9, values.tobytes())


def rows(name: str, width: int) -> bytes:
    """Write the ValueInfoProto of float32[n, width]."""
    shape = chunk(1, chunk(2, "n")) + chunk(1, number(1, width))
    return chunk(1, name) + chunk(2, chunk(1, number(1, FLOAT32) + chunk(2, shape)))


def model(random: np.random.Generator) -> bytes:
    """Write the ModelProto."""
    weights = random.normal(scale=0.25, size=(FEATURES, CLASSES)).astype("<f4")
    bias = random.normal(size=CLASSES).astype("<f4")
    nodes = [node("Gemm", ["features", "weights", "bias"], "scores"), node("Softmax", ["scores"], "probabilities")]
    graph = b"".join(chunk(1, one) for one in nodes) + chunk(2, "tiny")
    graph += chunk(5, tensor("weights", weights)) + chunk(5, tensor("bias", bias))
    graph += chunk(11, rows("features", FEATURES)) + chunk(12, rows("probabilities", CLASSES))
    return number(1, IR_VERSION) + chunk(7, graph) + chunk(8, number(2, OPSET))


def examples(random: np.random.Generator) -> str:
    """Return eight inputs and what the model answers to them."""
    inputs = random.normal(size=(8, FEATURES)).round(6)
    session = onnxruntime.InferenceSession(str(HERE / "model.onnx"))
    (outputs,) = session.run(None, {"features": inputs.astype(np.float32)})
    pairs = zip(inputs.tolist(), outputs.astype(float).round(6).tolist(), strict=True)
    return "".join(json.dumps({"input": {"features": one}, "output": {"probabilities": other}}) + "\n" for one, other in pairs)


if __name__ == "__main__":
    random = np.random.default_rng(seed=64)
    (HERE / "model.onnx").write_bytes(model(random))
    (HERE / "examples.jsonl").write_text(examples(random), encoding="utf-8")
