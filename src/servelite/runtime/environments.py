"""A function's own environment, `FOLDER/.venv`: whether it fits its folder, and whose Python runs the handler.

`servelite install` makes it and leaves a stamp in it that says what it was made of. A `.venv` without a stamp is somebody
else's, and does not count.
"""

import hashlib
import json
import os
import site
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from servelite.core.errors import DefinitionError
from servelite.core.version import VERSION

STAMP = "servelite.json"

CHANGES = {
    "requirements": "requirements.txt has changed since it was made",
    "python": "it was made for another version of Python",
    "servelite": "it was made by another version of servelite",
    "behind": "it was made by a servelite that is installed elsewhere",
}
"""What a stamp holds, and what it means if that is no longer so."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment of a function's folder, whether it exists or not."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / ".venv"

    @property
    def requirements(self) -> Path:
        return self.folder / "requirements.txt"

    @property
    def python(self) -> Path:
        return self.folder.resolve() / ".venv" / "bin" / "python"

    @property
    def is_running(self) -> bool:
        """Whether this very process runs in it."""
        return Path(sys.prefix).resolve() == self.path.resolve()

    def stamp(self) -> dict[str, str] | None:
        """Return what it was made of: empty while it is being made, None where it is not servelite's."""
        return _read_stamp(self.path)

    def write_stamp(self, stamp: dict[str, str]) -> None:
        """Say what it is made of."""
        (self.path / STAMP).write_text(json.dumps(stamp, indent=2), encoding="utf-8")

    def expected(self) -> dict[str, str]:
        """Return the stamp of an environment that fits the folder as it is now."""
        with self.requirements.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return {"requirements": digest, "python": sysconfig.get_python_version(), "servelite": VERSION, "behind": places_behind()}

    def flaw(self) -> str:
        """Say why it does not fit the folder; empty where it does."""
        stamp, expected = self.stamp(), self.expected()
        if not stamp:
            return "its installation did not end"
        changes = [said for key, said in CHANGES.items() if stamp.get(key) != expected[key]]
        return "".join(changes[:1]) or ("" if self._is_whole() else "its Python is gone")

    def _is_whole(self) -> bool:
        """Tell whether its Python can start, and starts in it."""
        return self.python.exists() and (self.path / "pyvenv.cfg").is_file()


def interpreter(folder: Path) -> str:
    """Return the Python that runs a function's handler: its own environment's where it has one, else the running one.

    Raises:
        DefinitionError: its environment no longer fits.
    """
    environment = Environment(folder)
    if not environment.requirements.is_file() or environment.stamp() is None:
        return sys.executable
    if flaw := environment.flaw():
        raise DefinitionError(f"{environment.path} can't be used: {flaw}. Make it anew with: servelite install {folder}")
    return sys.executable if environment.is_running else str(environment.python)


def runs_elsewhere(folder: Path) -> bool:
    """Tell whether a function has an environment that this process does not run in."""
    return interpreter(folder) != sys.executable


def check_here(folder: Path) -> None:
    """Refuse to run a function in this process if it needs another environment; DefinitionError with the Python to use."""
    if runs_elsewhere(folder):
        python = interpreter(folder)
        raise DefinitionError(f"{folder} has an environment of its own. Use its Python, in a test for example: {python} -m pytest {folder}")


def places_behind() -> str:
    """Return the folders of the packages that servelite runs with; from within a function's environment, those behind it."""
    if within := (_read_stamp(Path(sys.prefix)) or {}).get("behind"):
        return within
    own = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return os.pathsep.join([*own, *site.getsitepackages()])


def _read_stamp(environment: Path) -> dict[str, str] | None:
    try:
        stamp = json.loads((environment / STAMP).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return {}  # it was being written
    return stamp if isinstance(stamp, dict) else {}
