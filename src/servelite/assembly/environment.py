"""What surrounds the process, its environment variables and `servelite.toml`, as the parts need it; no other room reads them."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from servelite.core.errors import DefinitionError
from servelite.core.settings import Settings, read_settings

SETTINGS_FILE = "servelite.toml"

DEFAULT_LEDGER = ".servelite/ledger.db"

CORE_MB = 1769
"""Memory for which AWS Lambda gives a whole core: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

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
    import tomllib

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


@dataclass(frozen=True, slots=True)
class Tracing:
    """How spans are to be sent: by which exporter of OpenTelemetry, and as which service, "" where OpenTelemetry is told that itself."""

    exporter: str
    service: str


def tracing(environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """Read OpenTelemetry's own variables; None where they ask for no spans."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    endpoints = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    if exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if not (exporter or any(environment.get(name) for name in endpoints)):
        return None
    is_named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Tracing(exporter or "otlp", "" if is_named else "servelite")


@dataclass(frozen=True, slots=True)
class LambdaSurroundings:
    """What AWS Lambda, and whoever deployed there, says in the environment.

    functions      the folder of the functions
    function       the one that events which name none go to; "" for the only one that is no stage
    ledger         the ledger's URL
    requires_key   whether HTTP requests must show a key
    output         where results of objects go, `s3://BUCKET/PREFIX`; "" for beside them
    threads        of one run of a model: whole cores, which Lambda gives in proportion to memory
    is_waited_for  whether the first call waits for the start of this process
    is_snapshot    whether copies of this process will serve (SnapStart), not itself
    is_ascii       whether the runtime writes answers in ASCII, as it did before Python 3.12
    """

    functions: Path
    function: str = ""
    ledger: str = "none"
    requires_key: bool = False
    output: str = ""
    threads: int = 1
    is_waited_for: bool = True
    is_snapshot: bool = False
    is_ascii: bool = True


def lambda_surroundings(environment: Mapping[str, str] = os.environ) -> LambdaSurroundings:
    """Read what surrounds a process on AWS Lambda; DefinitionError where it can't be meant."""
    said = environment.get
    root = Path(said("LAMBDA_TASK_ROOT") or ".")
    if said("SERVELITE_REQUIRE_KEY", "0") not in ("", "0", "1"):
        raise DefinitionError(
            f"SERVELITE_REQUIRE_KEY is '{said('SERVELITE_REQUIRE_KEY')}'. Write 1 where requests must show a key, else 0."
        )
    started_for = said("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    minor = re.fullmatch(r"AWS_Lambda_python3\.(\d+)", said("AWS_EXECUTION_ENV", ""))
    return LambdaSurroundings(
        Path(said("SERVELITE_FUNCTIONS") or root / "functions"),
        said("SERVELITE_FUNCTION", ""),
        said("SERVELITE_LEDGER") or "none",
        said("SERVELITE_REQUIRE_KEY", "0") == "1",
        said("SERVELITE_OUTPUT", ""),
        max(1, round(int(said("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or 1) / CORE_MB)),
        started_for == "on-demand",
        started_for == "snap-start",
        not (minor and int(minor[1]) >= 12),
    )
