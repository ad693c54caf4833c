"""A small convolutional network in numpy: what it answers, how its weights are to change, and the network as ONNX.

image[28, 28] → 8 kernels of 5 x 5 → half → ReLU → 24 kernels of 5 x 5 → half → ReLU → 384 → 128 → ReLU → 10.
"Half" is the largest of 2 x 2.
Arrays are [image, row, column, channel] here, and [image, channel, row, column] in ONNX.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import helper, numpy_helper

from functions.digits.samples import SIDE

KERNEL = 5
CHANNELS = (1, 8, 24)
HIDDEN = 128
DIGITS = 10
FLAT = ((SIDE - KERNEL + 1) // 2 - KERNEL + 1) // 2
"""Rows and columns that are left of an image after both layers of kernels: 4."""

OPSET = 18

Weights = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Layer:
    """What a layer of kernels must remember of its input to learn from it."""

    shape: tuple[int, ...]
    windows: np.ndarray
    is_largest: np.ndarray


def draw_weights(random: np.random.Generator) -> Weights:
    """Return weights to begin with, drawn as He et al. (2015) do for ReLU; biases are zero."""
    sizes = {f"kernels{n}": (CHANNELS[n - 1] * KERNEL**2, CHANNELS[n]) for n in (1, 2)}
    sizes |= {"hidden": (FLAT**2 * CHANNELS[2], HIDDEN), "last": (HIDDEN, DIGITS)}
    drawn = {name: random.normal(0, np.sqrt(2 / size[0]), size) for name, size in sizes.items()}
    return drawn | {f"{name}_bias": np.zeros(size[1]) for name, size in sizes.items()}


def gradients(weights: Weights, images: np.ndarray, digits: np.ndarray) -> Weights:
    """Return the gradient of the mean cross-entropy by each weight; images are float[n, 28, 28] from 0 to 1."""
    first, layer1 = _kernels(images[..., None], weights, "kernels1")
    second, layer2 = _kernels(first, weights, "kernels2")
    flat = second.reshape(len(images), -1)
    hidden, error = _decide(flat, weights)
    error[np.arange(len(digits)), digits] -= 1
    error /= len(digits)
    found = {"last": hidden.T @ error, "last_bias": error.sum(0)}
    error = error @ weights["last"].T * (hidden > 0)
    found |= {"hidden": flat.T @ error, "hidden_bias": error.sum(0)}
    spread = _spread((error @ weights["hidden"].T).reshape(second.shape) * (second > 0), layer2)
    found |= {"kernels2": layer2.windows.T @ spread, "kernels2_bias": spread.sum(0)}
    spread = _spread(_by_input(spread @ weights["kernels2"].T, layer2) * (first > 0), layer1)
    return found | {"kernels1": layer1.windows.T @ spread, "kernels1_bias": spread.sum(0)}


def _kernels(values: np.ndarray, weights: Weights, name: str) -> tuple[np.ndarray, Layer]:
    """Return a layer's output, halved and rectified."""
    count, rows, columns, channels = values.shape
    windows = sliding_window_view(values, (KERNEL, KERNEL), (1, 2)).reshape(-1, channels * KERNEL**2)
    seen = (windows @ weights[name] + weights[f"{name}_bias"]).reshape(count, rows - KERNEL + 1, columns - KERNEL + 1, -1)
    blocks = seen.reshape(count, seen.shape[1] // 2, 2, seen.shape[2] // 2, 2, -1)
    largest = blocks.max((2, 4))
    return np.maximum(largest, 0), Layer(values.shape, windows, blocks == largest[:, :, None, :, None])


def _spread(error: np.ndarray, layer: Layer) -> np.ndarray:
    """Return the gradient by what the kernels saw, a row for each window: only the largest of 2 x 2 has one."""
    return np.asarray(layer.is_largest * error[:, :, None, :, None]).reshape(-1, error.shape[-1])


def _by_input(windows: np.ndarray, layer: Layer) -> np.ndarray:
    """Return the gradient by a layer's input, of that by its windows."""
    count, rows, columns, channels = layer.shape
    within = windows.reshape(count, rows - KERNEL + 1, columns - KERNEL + 1, channels, KERNEL, KERNEL)
    error = np.zeros(layer.shape)
    for row in range(KERNEL):
        for column in range(KERNEL):
            error[:, row : row + within.shape[1], column : column + within.shape[2]] += within[..., row, column]
    return error


def _decide(flat: np.ndarray, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Return the hidden units, and the chances of each digit."""
    hidden = np.maximum(flat @ weights["hidden"] + weights["hidden_bias"], 0)
    scores = hidden @ weights["last"] + weights["last_bias"]
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return hidden, odds / odds.sum(1, keepdims=True)


def loss(weights: Weights, images: np.ndarray, digits: np.ndarray) -> float:
    """Return the mean cross-entropy."""
    first, _ = _kernels(images[..., None], weights, "kernels1")
    second, _ = _kernels(first, weights, "kernels2")
    _, chances = _decide(second.reshape(len(images), -1), weights)
    return float(-np.log(chances[np.arange(len(digits)), digits]).mean())


def convert(weights: Weights) -> bytes:
    """Return the network as ONNX: image uint8[n, 28, 28] to chances float32[n, 10]."""
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["levels", "scale"], ["light"]),
        helper.make_node("Unsqueeze", ["light", "channel"], ["values0"]),
    ]
    for n in (1, 2):
        nodes += [
            helper.make_node("Conv", [f"values{n - 1}", f"kernels{n}", f"kernels{n}_bias"], [f"seen{n}"]),
            helper.make_node("MaxPool", [f"seen{n}"], [f"half{n}"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Relu", [f"half{n}"], [f"values{n}"]),
        ]
    nodes += [
        helper.make_node("Flatten", ["values2"], ["flat"]),
        helper.make_node("Gemm", ["flat", "hidden", "hidden_bias"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["found"]),
        helper.make_node("Gemm", ["found", "last", "last_bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["chances"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["n", SIDE, SIDE])
    chances = helper.make_tensor_value_info("chances", onnx.TensorProto.FLOAT, ["n", DIGITS])
    graph = helper.make_graph(nodes, "digits", [image], [chances], _constants(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _constants(weights: Weights) -> list[onnx.TensorProto]:
    """Return the weights in ONNX's order."""
    ours = dict(weights)
    for n in (1, 2):
        ours[f"kernels{n}"] = weights[f"kernels{n}"].T.reshape(CHANNELS[n], CHANNELS[n - 1], KERNEL, KERNEL)
    ours["hidden"] = weights["hidden"].reshape(FLAT, FLAT, CHANNELS[2], HIDDEN).transpose(2, 0, 1, 3).reshape(-1, HIDDEN)
    ours["scale"] = np.array(1 / 255)
    constants = [numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name) for name, value in sorted(ours.items())]
    return [*constants, numpy_helper.from_array(np.array([1]), "channel")]
