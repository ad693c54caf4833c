"""A function: a typed handler with its limits, and what the world may know of it."""

import base64
import difflib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict, TypeVar, Unpack, overload

from servelite.core.errors import DefinitionError

if TYPE_CHECKING:
    from logging import Logger

AnyHandler = TypeVar("AnyHandler", bound=Callable[..., Any])

JSON = "application/json"
TEXT = "text/plain"
BINARY = "application/octet-stream"

LIMITS_ATTRIBUTE = "__servelite_limits__"


NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""What may name a function."""

MOST = 10**9
"""Largest value of a limit: 31 years, or a million GiB."""


class LimitFields(TypedDict, total=False):
    """The fields of `@function(...)`; see `Limits` for their meaning."""

    max_batch: int
    timeout_s: float
    memory_mib: int
    max_workers: int | None
    idle_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What a function may use.

    max_batch    calls that one run of the handler may answer, 1 or more; above 1 the handler takes
                 a list and returns a list
    timeout_s    seconds one run of the handler may take before its worker is killed
    memory_mib   MiB one worker may use
    max_workers  workers at the same time; None means as many as the machine has cores
    idle_s       seconds without a call after which the workers end
    """

    max_batch: int = 1
    timeout_s: float = 30.0
    memory_mib: int = 1024
    max_workers: int | None = None
    idle_s: float = 300.0

    def __post_init__(self) -> None:
        for limit in fields(self):
            _require_positive(limit.name, getattr(self, limit.name))


def _require_positive(name: str, value: object) -> None:
    if name == "max_workers" and value is None:
        return
    kind: type | tuple[type, ...] = (int, float) if name.endswith("_s") else int
    if isinstance(value, bool) or not isinstance(value, kind) or not 0 < value <= MOST:  # type: ignore[operator]
        rule = "a number above 0" if name.endswith("_s") else "a whole number from 1"
        rule += f", at most {MOST:,}" if isinstance(value, (int, float)) and MOST < value < float("inf") else ""
        raise DefinitionError(f"@function({name}={value!r}): {name} is {rule}.")


@overload
def function(handler: AnyHandler, /) -> AnyHandler: ...
@overload
def function(**limits: Unpack[LimitFields]) -> Callable[[AnyHandler], AnyHandler]: ...
def function(handler: Callable[..., Any] | None = None, /, **limits: Any) -> Any:
    """Mark the one function of a `handler.py` that answers calls; it stays an ordinary function.

    Use it bare (`@function`) or with limits (`@function(max_batch=64, timeout_s=2)`).

    Raises:
        DefinitionError: a limit has an unknown name or an impossible value.
    """
    known = [limit.name for limit in fields(Limits)]
    for name in limits:
        if name not in known:
            raise DefinitionError(f"@function has no field '{name}'.{_nearest(name, known)} Its fields: {', '.join(known)}.")
    checked = Limits(**limits)

    def mark(marked: AnyHandler) -> AnyHandler:
        setattr(marked, LIMITS_ATTRIBUTE, checked)
        return marked

    return mark if handler is None else mark(handler)


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


Ask = Callable[[str, str, Any], Any]
"""Asks another function for one's call: takes the call's id, the function's name and its input, and returns its output."""


def _nobody(_request_id: str, name: str, _value: object) -> NoReturn:
    raise DefinitionError(f"{name} was not called: a Context that was made by hand knows no functions. Give it one: Context(…, ask=…).")


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler may know of its call: annotate a second parameter with it.

    deadline_s is on `time.monotonic()`'s clock, which all processes of a machine share. traceparent is the W3C header that places what the
    handler asks of others in the call's trace; "" where the server makes no spans.
    """

    request_id: str
    account: str
    deadline_s: float
    media_type: str
    logger: "Logger"
    ask: Ask = field(default=_nobody, repr=False, compare=False)
    traceparent: str = ""

    def call(self, name: str, value: Any) -> Any:
        """Call another function that is served, for this call's account and within its time, and return its output.

        Bytes are sent as they are, all else as JSON; text, bytes or the value of JSON come back.

        Raises:
            ServeliteError: what a client of that function would be told, for example InvalidInput.
        """
        return self.ask(self.request_id, name, value)


@dataclass(frozen=True, slots=True)
class Contract:
    """What a piece of a pipeline takes and gives; see `Description`."""

    takes: tuple[str, ...]
    gives: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Contract":
        """Make it of plain data."""
        return cls(**{**data, "takes": tuple(data["takes"])})


@dataclass(frozen=True, slots=True)
class Description:
    """What the world may know of a function without running it; plain data that crosses processes.

    takes   media types of the input; `image/*` stands for all images
    gives   media type of the output
    card    the content of card.toml
    version  what the card says, or a digest of the folder
    pipeline  what it is made of, in its plain form, where it is a pipeline
    glue     what the functions of its own file take and give, by name, where it is one
    takes_context  whether its handler, or one of those functions, is given a Context, and so may call other functions
    """

    name: str
    summary: str
    limits: Limits
    takes: tuple[str, ...]
    gives: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    examples: tuple[dict[str, Any], ...] = ()
    card: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    pipeline: dict[str, Any] | None = None
    glue: dict[str, Contract] = field(default_factory=dict)
    takes_context: bool = False

    @property
    def contract(self) -> Contract:
        """What it takes and gives, as a stage."""
        return Contract(self.takes, self.gives, self.input_schema, self.output_schema)

    def accepts(self, media_type: str) -> bool:
        """Tell whether a Content-Type (without parameters, lower case) fits; none at all does."""
        kind, slash, _ = media_type.partition("/")
        return not media_type or media_type in self.takes or (bool(slash) and f"{kind}/*" in self.takes)

    def encode_input(self, value: Any) -> bytes:
        """Return the body that sends an input as examples.jsonl has it: text as it is, bytes as base64, all else as JSON."""
        if isinstance(value, str) and self.takes[0] == TEXT:
            return value.encode()
        if isinstance(value, str) and self.takes[0] == BINARY:
            return self._from_base64(value)
        return json.dumps(value).encode()

    def _from_base64(self, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except ValueError as error:
            raise DefinitionError(
                f"An example of {self.name} is not base64: {text[:40]!r}. Inputs of bytes are written as base64."
            ) from error

    def decode_output(self, body: bytes) -> Any:
        """Return an answer's body as examples.jsonl would have it."""
        if self.gives == TEXT:
            return body.decode()
        return base64.b64encode(body).decode() if self.gives == BINARY else json.loads(body)

    def to_dict(self) -> dict[str, Any]:
        """Return the description as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Description":
        """Make a description from what `to_dict` returned, perhaps in another process."""
        known = {**data, "limits": Limits(**data["limits"])}
        for name in ("takes", "examples"):
            known[name] = tuple(data[name])
        known["glue"] = {name: Contract.from_dict(one) for name, one in data.get("glue", {}).items()}
        return cls(**known)
