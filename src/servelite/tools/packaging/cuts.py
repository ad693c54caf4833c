"""What a package does without, as data: which files, which needs of which packages, and why.

Each cut was tried with real models after it was made; and whatever is cut, the functions' examples are run without it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """Files of a package ("" for every one) that match a pattern, in which `*` stands for folders too.

    unless  a module: where a function, or another package, imports it, the files stay
    """

    package: str
    pattern: str
    why: str
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Unused:
    """What a package requires only for a part of it that is cut; `unless` as in `Cut`."""

    package: str
    needs: tuple[str, ...]
    why: str
    unless: str = ""


CUTS = (
    Cut("onnxruntime", "onnxruntime/capi/libonnxruntime.so*", "a second copy of the runtime, for C programs; Python's does not link it"),
    Cut("onnxruntime", "onnxruntime/transformers/*", "makes models, does not run them", "onnxruntime.transformers"),
    Cut("onnxruntime", "onnxruntime/quantization/*", "makes models, does not run them", "onnxruntime.quantization"),
    Cut("onnxruntime", "onnxruntime/tools/*", "makes models, does not run them", "onnxruntime.tools"),
    Cut("onnxruntime", "onnxruntime/datasets/*", "examples for its documentation", "onnxruntime.datasets"),
    Cut("numpy", "numpy/f2py/*", "compiles Fortran", "numpy.f2py"),
    Cut("numpy", "numpy/_core/include/*", "headers for compilers"),
    Cut("numpy", "numpy/_core/_simd.*", "for its tests alone"),
    Cut("numpy", "numpy/_core/_*_tests.*", "for its tests alone"),
    Cut("numpy", "numpy/_pyinstaller/*", "for another packager"),
    Cut("numpy", "numpy/conftest.py", "for its tests alone"),
    Cut("pydantic", "pydantic/v1/*", "pydantic's first version, kept for old programs", "pydantic.v1"),
    Cut("pydantic", "pydantic/mypy.py", "for type checkers"),
    Cut("servelite", "servelite/cli/*", "the command line"),
    Cut("servelite", "servelite/tools/*", "the command line"),
    Cut("servelite", "servelite/__main__.py", "the command line"),
    Cut("servelite", "servelite/testing.py", "for tests", "servelite.testing"),
    Cut("", "*/tests/*", "tests"),
    Cut("", "*.pyi", "for type checkers"),
    Cut("", "*.pxd", "for compilers"),
    Cut("", "*.pyx", "for compilers"),
    Cut("", "*.h", "headers for compilers"),
    Cut("", "*.hpp", "headers for compilers"),
    Cut("", "*.a", "libraries for linkers"),
    Cut("", "bin/*", "commands"),
    Cut("", "*/__pycache__/*", "another Python's bytecode"),
)

UNUSED = (
    Unused("onnxruntime", ("coloredlogs", "flatbuffers", "packaging", "protobuf", "sympy"), "for what makes models", "onnxruntime.tools"),
    Unused("tokenizers", ("huggingface-hub",), "for what loads from a hub", "huggingface_hub"),
)

METADATA_WHY = "nothing here asks for its version"

ASKS_FOR_METADATA = ("importlib.metadata", "importlib_metadata", "pkg_resources")
"""Words in a package's source that say: it may ask for its own version, or those of what it needs."""

COPES = ("numpy", "onnxruntime", "pydantic", "typing-extensions")
"""Packages that have such words and do without: in tests and tools that are cut, to search for plug-ins, to report bugs."""
