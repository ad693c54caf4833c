"""Open ONNX models with the settings that serving wants."""

import sys
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servelite.core.errors import DefinitionError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

intra_op_threads: ContextVar[int] = ContextVar("intra_op_threads", default=0)
"""Threads that one run of a model may use; 0 means one for each core. The worker's start sets it."""


def load_onnx(path: str | Path, *, threads: int | None = None, config: Mapping[str, str] | None = None) -> "InferenceSession":
    """Open a model as an `onnxruntime.InferenceSession`, relative to the file that calls this.

    Threads do not spin while they wait: on a machine that serves, the other workers need the cores.

    Args:
        path: the model's file.
        threads: threads of one run; by default the cores, divided among the function's workers.
        config: onnxruntime session configuration, for example {"session.disable_prepacking": "1"}.

    Raises:
        DefinitionError: the file is missing, or is not a model that onnxruntime can open.
    """
    folder = Path(sys._getframe(1).f_globals.get("__file__", "notebook")).parent  # noqa: SLF001  the caller's own folder
    file = folder / path
    if not file.is_file():
        raise DefinitionError(f"load_onnx({str(path)!r}): there is no such file in {folder}. {_cure(folder)}")
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(str(file), _options(onnxruntime, threads, config or {}), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base of their own
        raise DefinitionError(f"load_onnx({str(path)!r}): onnxruntime can't open it: {error}") from error


def _options(onnxruntime: Any, threads: int | None, config: Mapping[str, str]) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = intra_op_threads.get() if threads is None else threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, value in config.items():
        options.add_session_config_entry(name, value)
    return options


def _cure(folder: Path) -> str:
    """Say how the model gets here: as `remake` in [model] of the card has it, else by the folder's train.py."""
    from servelite.worker.description import read_card  # pydantic comes with it, which importing servelite does not need

    model = read_card(folder).get("model")
    if remake := model.get("remake") if isinstance(model, dict) else None:
        return f"Make it with: {remake}"
    if (folder / "train.py").is_file():
        return f"Make it with: python {folder / 'train.py'}"
    return "Put the model there, or mend the name."
