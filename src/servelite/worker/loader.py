"""From a folder to a function: import its `handler.py`, find the handler, read its types.

Whatever is wrong in the folder becomes one DefinitionError that begins with the file and line.
"""

import importlib.util
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from servelite.core.errors import DefinitionError
from servelite.core.function import LIMITS_ATTRIBUTE, Limits
from servelite.core.pipeline import Glue, Node, walk
from servelite.core.schema import Codec
from servelite.core.signature import Signature, read_signature

logger = logging.getLogger("servelite.loader")

HANDLER = ""
"""What the part of a function is called that answers its calls."""

GLUE_AT_ONCE = 16
"""Calls of a pipeline's glue that its worker is given at the same time; it runs them one by one."""

_folders: set[Path] = set()
"""Folders of the functions that this process has imported."""


@dataclass(frozen=True, slots=True)
class Part:
    """A typed Python function ready to run: a handler, or a piece of a pipeline's glue."""

    run: Callable[..., Any]
    signature: Signature
    codec: Codec


@dataclass(frozen=True, slots=True)
class Function:
    """A function ready to run, with its limits.

    parts     what a call may run: the handler by the name "", or the glue of a pipeline, by its names
    pipeline  what it is made of, where it is a pipeline
    """

    name: str
    folder: Path
    limits: Limits
    summary: str
    parts: Mapping[str, Part]
    pipeline: Node | None = None

    @property
    def handler(self) -> Part:
        """The part that answers its calls; a pipeline has none."""
        return self.parts[HANDLER]


def load(folder: Path) -> Function:
    """Import a function's folder; its models are opened with it.

    Raises:
        DefinitionError: the folder is not a function that can be served.
    """
    file = folder / "handler.py"
    if not file.is_file():
        raise DefinitionError(f"{folder} has no handler.py. Make one with: servelite new {folder.name}")
    module = _import(file)
    if _is_uninstalled(folder):
        about = f"{folder / 'requirements.txt'} is not installed: {folder.name} runs with the packages of servelite's own environment"
        logger.warning("%s. Install it with: servelite install %s", about, folder, extra={"function": folder.name})
    name, summary = folder.resolve().name, (module.__doc__ or "").strip().partition("\n")[0]
    pipeline = _find_pipeline(module, file)
    if pipeline is not None:
        glue = {one.name: _part(_find_glue(module, file, one.name), file, Limits()) for one in walk(pipeline) if isinstance(one, Glue)}
        limits = Limits(max_batch=GLUE_AT_ONCE, timeout_s=pipeline.timeout_s or Limits().timeout_s)
        return Function(name, folder, limits, summary, glue, pipeline)
    handler = _find_handler(module, file)
    limits = getattr(handler, LIMITS_ATTRIBUTE)
    summary = summary or (handler.__doc__ or "").strip().partition("\n")[0]
    return Function(name, folder, limits, summary, {HANDLER: _part(handler, file, limits)})


def _part(handler: Callable[..., Any], file: Path, limits: Limits) -> Part:
    try:
        signature = read_signature(handler, limits)
        return Part(handler, signature, Codec(signature.input_type, signature.output_type))
    except DefinitionError as error:
        raise DefinitionError(f"{file}:{_line(handler)}: {error.detail}") from error
    except Exception as error:  # annotations are user code too
        raise DefinitionError(f"{file}:{_line(handler)}: {type(error).__name__}: {error}") from error


class _Afresh(SourceFileLoader):
    """Compiles a file as it is now: Python's cache takes two edits of a second that are of one length for the same."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the file's code."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _import(file: Path) -> ModuleType:
    """Run a handler.py as a module of its own name; its folder comes first on sys.path, as for a script."""
    name = f"servelite_function_{file.resolve().parent.name}"
    spec = importlib.util.spec_from_file_location(name, file, loader=_Afresh(name, str(file)))
    assert spec is not None
    assert spec.loader is not None  # a .py file always has one
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _make_way(file.parent.resolve())
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        source = file if error.filename == str(file.resolve()) else error.filename
        raise DefinitionError(f"{source or file}:{error.lineno or 1}: SyntaxError: {error.msg}.") from error
    except ModuleNotFoundError as error:
        raise DefinitionError(f"{where(error, file)}: there is no module '{error.name}' here. {_cure(file.parent)}") from error
    except DefinitionError as error:
        raise DefinitionError(f"{where(error, file)}: {error.detail}") from error
    except (Exception, SystemExit) as error:  # a handler.py is user code: whatever it raises is told with its place
        raise DefinitionError(f"{where(error, file)}: {type(error).__name__}: {error}") from error
    return module


def _cure(folder: Path) -> str:
    """Say how a module gets here: requirements.txt is still to be installed, or does not name it yet."""
    requirements = folder / "requirements.txt"
    if _is_uninstalled(folder):
        return f"Install what {requirements} names: servelite install {folder}"
    return f"A file of yours goes beside handler.py; a package goes into {requirements}, then run: servelite install {folder}"


def _is_uninstalled(folder: Path) -> bool:
    return (folder / "requirements.txt").is_file() and Path(sys.prefix).resolve().parent != folder.resolve()


def _make_way(folder: Path) -> None:
    """Let a function import the modules beside it, and not those of the same name beside another one."""
    others = [other for other in _folders if other != folder]
    for name, module in list(sys.modules.items()):
        if any(_is_own(getattr(module, "__file__", None) or "", other) for other in others):
            del sys.modules[name]
    taken = {str(one) for one in (*others, folder)}
    sys.path[:] = [str(folder), *(entry for entry in sys.path if entry not in taken)]
    _folders.add(folder)


def _is_own(source: str, folder: Path) -> bool:
    """Tell whether a file is a function's own; the packages of its environment are not, though they are in its folder."""
    return source.startswith(f"{folder}/") and not source.startswith(f"{folder}/.venv/")


def where(error: BaseException, file: Path) -> str:
    """Name the deepest line of the function's own folder that the error came through."""
    place, folder = f"{file}", file.parent.resolve()
    for frame, line in traceback.walk_tb(error.__traceback__):
        source = Path(frame.f_code.co_filename).resolve()
        if _is_own(str(source), folder):
            place = f"{file.parent / source.relative_to(folder)}:{line}"
    return place


def _find_pipeline(module: ModuleType, file: Path) -> Node | None:
    """Return what the name `pipeline` stands for, where it is one; a folder is that, or a handler."""
    pipeline = getattr(module, "pipeline", None)
    if not isinstance(pipeline, Node):
        return None
    if own := [value for value in vars(module).values() if hasattr(value, LIMITS_ATTRIBUTE) and value.__module__ == module.__name__]:
        raise DefinitionError(f"{file} has a pipeline and the handler {own[0].__name__}. A folder is one function; move the other out.")
    return pipeline


def _find_glue(module: ModuleType, file: Path, name: str) -> Callable[..., Any]:
    glue: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(glue):
        raise DefinitionError(f"{file} has no function '{name}', which its pipeline names. Define it there, or import it.")
    return glue


def _find_handler(module: ModuleType, file: Path) -> Callable[..., Any]:
    own = [value for value in vars(module).values() if hasattr(value, LIMITS_ATTRIBUTE) and value.__module__ == module.__name__]
    handlers = list({id(value): value for value in own}.values())
    if not handlers and hasattr(module, "pipeline"):
        kind = type(module.pipeline).__name__
        raise DefinitionError(f"{file} has a pipeline that is a {kind}. Make one of stages: pipeline = sequence('langid', 'sentiment').")
    if not handlers:
        raise DefinitionError(f"{file} has no handler. Put @function above the function that answers calls.")
    if len(handlers) > 1:
        listed = ", ".join(f"{one.__name__} (line {_line(one)})" for one in handlers)
        raise DefinitionError(f"{file} has {len(handlers)} handlers: {listed}. A folder is one function; move the others out.")
    handler: Callable[..., Any] = handlers[0]
    return handler


def _line(handler: Callable[..., Any]) -> int:
    code = getattr(handler, "__code__", None)
    return code.co_firstlineno if code else 1
