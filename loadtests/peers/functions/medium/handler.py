"""384 numbers to the probabilities of 10 classes, by a model that gains from batches."""

import numpy as np
from pydantic import BaseModel, Field

from servelite import function, load_onnx


class Features(BaseModel):
    """What is to be classified."""

    features: list[float] = Field(min_length=384, max_length=384)


class Classes(BaseModel):
    """How probable each class is."""

    probabilities: list[float] = Field(min_length=10, max_length=10)


model = load_onnx("model.onnx")  # float32[n, 384] to float32[n, 10]; train.py makes it


@function(max_batch=64, max_workers=1)
def medium(batch: list[Features]) -> list[Classes]:
    """Classify a batch in one run of the model, which uses all cores: a second worker would only halve the batches."""
    rows = np.array([one.features for one in batch], dtype=np.float32)
    (probabilities,) = model.run(None, {"features": rows})
    return [Classes(probabilities=row) for row in probabilities.tolist()]
