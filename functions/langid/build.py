"""Make model.npz.xz again: it is unpacked from the pinned package as it is."""

import sys
from pathlib import Path

from functions.cards import write_artefact
from functions.packages import fetch, read

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    sys.exit(write_artefact(HERE / "model.npz.xz", read(fetch(HERE, "py3langid"), "py3langid/data/model.npz.xz")))
