"""Make model.onnx and examples.jsonl: three dense layers with random but fixed weights, 74 MB, which gain from batches.

One input makes the processor read all the weights, and so does a batch of 64: a server that batches does far more of them.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[2]))

from onnx_file import classifier, examples  # noqa: E402  it stands in loadtests/

SIZES = (384, 4096, 4096, 10)
LAST_SCALE = 0.02


if __name__ == "__main__":
    random = np.random.default_rng(seed=4096)
    model = classifier("medium", SIZES, random, scale=LAST_SCALE)
    (HERE / "model.onnx").write_bytes(model)
    (HERE / "examples.jsonl").write_text(examples(model, SIZES[0], random), encoding="utf-8")
