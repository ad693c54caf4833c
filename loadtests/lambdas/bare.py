"""The least that serves a model on Lambda: onnxruntime and a dict, nothing between."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(str(Path(__file__).with_name("model.onnx")), providers=["CPUExecutionProvider"])


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    text = np.array([event["text"].lower()], dtype=object)
    positive = float(session.run(["positive"], {"text": text})[0][0])
    return {"label": "positive" if positive >= 0.5 else "negative", "score": round(max(positive, 1 - positive), 4)}
