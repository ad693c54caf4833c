"""Make model.onnx and examples.jsonl again: one Gemm and one Softmax with random but fixed weights."""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1]))

from onnx_file import classifier, examples  # noqa: E402  it stands in loadtests/

FEATURES, CLASSES = 64, 10


if __name__ == "__main__":
    random = np.random.default_rng(seed=64)
    model = classifier("tiny", (FEATURES, CLASSES), random, scale=0.25)
    (HERE / "model.onnx").write_bytes(model)
    (HERE / "examples.jsonl").write_text(examples(model, FEATURES, random), encoding="utf-8")
