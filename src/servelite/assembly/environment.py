"""What surrounds the process, its environment variables and `servelite.toml`, as the parts need it; no other room reads them."""

import os
import re
import tomllib
from pathlib import Path

from servelite.core.errors import DefinitionError
from servelite.core.settings import Settings, read_settings

SETTINGS_FILE = "servelite.toml"

KEY_VARIABLE = "SERVELITE_KEY"
"""Where `servelite call --url` finds the key that it shows."""


def read_settings_file(path: Path | None = None) -> Settings:
    """Read `servelite.toml` of the working directory, or the file that is named; the defaults where there is none.

    Raises:
        DefinitionError: the named file can't be read, or what it says is not possible.
    """
    file = path or Path(SETTINGS_FILE)
    if path is None and not file.exists():
        return Settings()
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DefinitionError(
            f"{file} can't be read: {error}. It is TOML, with the tables [tariff], [accounts.NAME] and [ledger]."
        ) from error
    return read_settings(said, str(file))


def own_key() -> str | None:
    """Return the key that a client shows, from the environment; None where there is none, DefinitionError where it can't be one."""
    key = os.environ.get(KEY_VARIABLE)
    if key and not re.fullmatch("[!-~]{1,1000}", key):
        raise DefinitionError(
            f"{KEY_VARIABLE} holds no key: it has spaces, or signs that no key has. Put in what servelite keys create printed."
        )
    return key or None


def worker_environment(threads: int) -> dict[str, str]:
    """Return a worker's environment: this one's without the key, with numpy's BLAS held to the worker's threads."""
    limits = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return {**limits, **{name: value for name, value in os.environ.items() if name != KEY_VARIABLE}}
