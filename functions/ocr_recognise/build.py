"""Make model.onnx again: it is unpacked from the pinned package as it is."""

import sys
from pathlib import Path

from functions.cards import write_artefact
from functions.packages import fetch, read

HERE = Path(__file__).resolve().parent
FILE = "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"

if __name__ == "__main__":
    sys.exit(write_artefact(HERE / "model.onnx", read(fetch(HERE, "rapidocr-onnxruntime"), FILE)))
