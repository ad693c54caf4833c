"""Serve models as metered functions: what a `handler.py` imports, and nothing heavier.

Importing this loads none of starlette, uvloop, onnxruntime, numpy or rich.
"""

from servelite.core.errors import InvalidInput, ServeliteError
from servelite.core.function import Context, function
from servelite.core.stages import each, parallel, retry, route, sequence, stage, value
from servelite.core.version import VERSION as __version__
from servelite.worker.onnx import load_onnx

__all__ = [
    "Context",
    "InvalidInput",
    "ServeliteError",
    "__version__",
    "each",
    "function",
    "load_onnx",
    "parallel",
    "retry",
    "route",
    "sequence",
    "stage",
    "value",
]
