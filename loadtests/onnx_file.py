"""Writes classifiers of dense layers as ONNX files, without the `onnx` package, which servelite does not need.

The file is one protobuf message, and protobuf is "field number and type, then the value", so that ten lines write it. The
numbers of the fields are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import onnxruntime

FLOAT32, IR_VERSION, OPSET = 1, 8, 17
HIDDEN_SCALE = 2.0
"""Variance of a hidden layer's weights times its inputs: with Relu behind it, numbers neither grow nor fade from layer to layer."""


def classifier(name: str, sizes: Sequence[int], random: np.random.Generator, scale: float) -> bytes:
    """Write a ModelProto: `features` float32[n, first size] to `probabilities` float32[n, last size], weights random but fixed.

    Args:
        name: the graph's name.
        sizes: widths from the features to the classes; between two of them is a Gemm, and a Relu where more layers follow.
        random: where the weights come from.
        scale: standard deviation of the last layer's weights.
    """
    nodes, tensors, source = [], [], "features"
    for layer, (wide, narrow) in enumerate(pairwise(sizes), start=1):
        is_last = layer == len(sizes) - 1
        suffix = "" if is_last else str(layer)
        spread = scale if is_last else float(np.sqrt(HIDDEN_SCALE / wide))
        weights = random.normal(scale=spread, size=(wide, narrow)).astype("<f4")
        bias = random.normal(size=narrow).astype("<f4")
        tensors += [tensor(f"weights{suffix}", weights), tensor(f"bias{suffix}", bias)]
        nodes.append(node("Gemm", [source, f"weights{suffix}", f"bias{suffix}"], f"scores{suffix}"))
        source = f"hidden{suffix}"
        nodes.append(node("Softmax", ["scores"], "probabilities") if is_last else node("Relu", [f"scores{suffix}"], source))
    graph = b"".join(chunk(1, one) for one in nodes) + chunk(2, name) + b"".join(chunk(5, one) for one in tensors)
    graph += chunk(11, rows("features", sizes[0])) + chunk(12, rows("probabilities", sizes[-1]))
    return number(1, IR_VERSION) + chunk(7, graph) + chunk(8, number(2, OPSET))


def examples(model: bytes, width: int, random: np.random.Generator) -> str:
    """Return eight lines of examples.jsonl: inputs, and what the model answers to them."""
    inputs = random.normal(size=(8, width)).round(6)
    (outputs,) = onnxruntime.InferenceSession(model).run(None, {"features": inputs.astype(np.float32)})
    pairs = zip(inputs.tolist(), outputs.astype(float).round(6).tolist(), strict=True)
    return "".join(json.dumps({"input": {"features": one}, "output": {"probabilities": other}}) + "\n" for one, other in pairs)


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


def node(operator: str, inputs: Sequence[str], output: str) -> bytes:
    """Write a NodeProto."""
    return b"".join(chunk(1, name) for name in inputs) + chunk(2, output) + chunk(4, operator)


def tensor(name: str, values: np.ndarray) -> bytes:
    """Write a TensorProto."""
    return b"".join(number(1, size) for size in values.shape) + number(2, FLOAT32) + chunk(8, name) + chunk(9, values.tobytes())


def rows(name: str, width: int) -> bytes:
    """Write the ValueInfoProto of float32[n, width]."""
    shape = chunk(1, chunk(2, "n")) + chunk(1, number(1, width))
    return chunk(1, name) + chunk(2, chunk(1, number(1, FLOAT32) + chunk(2, shape)))
