"""The SAM template of a package: a text with parts that are chosen, and values from the function's limits."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

from servelite.core.errors import DefinitionError
from servelite.stores.dynamodb_table import FUNCTION_ACTIONS, TABLE, TIME_TO_LIVE
from servelite.tools.packaging.plan import Contents, Plan
from servelite.tools.packaging.target import HANDLER

TEXT = Path(__file__).parent / "template" / "template.yaml"

LEAST_MEMORY_MIB, MOST_MEMORY_MIB = 128, 10_240
MOST_TIMEOUT_S = 900
MOST_HTTP_API_S = 30
"""An HTTP API gives up after that."""

MARGIN_S = 3
"""Beyond the function's own limit: the door takes nothing new in the last two seconds, and needs some time itself."""

MOST_BATCH, BATCH_WITHOUT_WINDOW = 10_000, 10
"""What one event of SQS may hold; more than ten only if SQS may wait for them."""

INDENT = " " * 6
"""Of a resource's properties."""

VISIBILITY = 6
"""How many times the function's timeout a message stays hidden while it is worked on, as AWS advises."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a template has besides the function.

    http         a Function URL, an HTTP API, or none
    queue        whether messages of an SQS queue are inputs
    ledger       whether calls, keys and quotas are kept in a DynamoDB table, and HTTP wants keys
    start        how cold starts are avoided: not at all, by SnapStart, or by environments that are always started
    provisioned  how many these are
    """

    http: Literal["url", "api", "none"] = "url"
    queue: bool = False
    ledger: bool = False
    start: Literal["plain", "snapstart", "provisioned"] = "plain"
    provisioned: int = 1

    def blocks(self) -> Iterator[str]:
        """Yield the names of the template's blocks that these choices take."""
        access = "keys" if self.ledger else "signed"
        yield from {"url": ("url", f"url-{access}"), "api": ("api", f"api-{access}"), "none": ()}[self.http]
        yield from (name for name, chosen in (("queue", self.queue), ("ledger", self.ledger)) if chosen)
        yield self.start


class _Text(Template):
    """Values stand as @{name}, for ${Name} is CloudFormation's."""

    delimiter = "@"


def check_choices(plan: Plan, choices: Choices) -> list[str]:
    """Return what is to be known of a plan's choices; DefinitionError where they don't go together."""
    if plan.is_image and choices.start == "snapstart":
        raise DefinitionError("SnapStart takes zips only. Leave out --image, or choose --start provisioned.")
    notes = []
    timeout_s, memory_mib = timeout_of(plan.contents), memory_of(plan.contents)
    if choices.http == "api" and timeout_s > MOST_HTTP_API_S:
        notes.append(f"An HTTP API gives up after {MOST_HTTP_API_S} s, and the function may take {timeout_s} s. A Function URL waits.")
    if memory_mib == MOST_MEMORY_MIB:
        notes.append(f"Its functions ask for more memory than Lambda has: {MOST_MEMORY_MIB:,} MB.")
    return notes


def template_text(plan: Plan, choices: Choices) -> str:
    """Return the text of `template.yaml`."""
    chosen = {*choices.blocks(), "image" if plan.is_image else "zip"}
    if batch_of(plan.contents) > BATCH_WITHOUT_WINDOW and choices.queue:
        chosen.add("window")
    lines = _chosen_lines(TEXT.read_text(encoding="utf-8").splitlines(), chosen)
    return _Text("\n".join(lines) + "\n").substitute(_values(plan, choices))


def stack_name(title: str) -> str:
    """Return a function's name as a stack may be named."""
    return re.sub(r"[^A-Za-z0-9]+", "-", title)


def memory_of(contents: Contents) -> int:
    """Return the MiB that all functions of a package may use together, for they share a process; a pipeline has none of its own."""
    asked = sum(one.limits.memory_mib for one in contents.known.values() if one.pipeline is None)
    return min(max(asked, LEAST_MEMORY_MIB), MOST_MEMORY_MIB)


def timeout_of(contents: Contents) -> int:
    """Return the seconds that a call may take."""
    longest = max(contents.known[name].limits.timeout_s for name in contents.named)
    return min(math.ceil(longest) + MARGIN_S, MOST_TIMEOUT_S)


def batch_of(contents: Contents) -> int:
    """Return the messages that one event may bring: what one run of the handler takes."""
    return min(contents.main.limits.max_batch, MOST_BATCH)


def _chosen_lines(lines: Iterable[str], chosen: set[str]) -> Iterator[str]:
    """Yield the lines outside of blocks, and those in blocks of a chosen name: `#? name name` begins one, and ends the one before."""
    taken = True
    for line in lines:
        if line.startswith("#?"):
            names = line.removeprefix("#?").split()
            taken = not names or bool(chosen.intersection(names))
        elif taken:
            yield line


def _values(plan: Plan, choices: Choices) -> dict[str, object]:
    contents = plan.contents
    timeout_s = timeout_of(contents)
    shared = len([one for one in contents.known.values() if one.pipeline is None]) > 1
    return {
        "title": contents.title,
        "stack": stack_name(contents.title),
        "summary": json.dumps(contents.main.summary or contents.title)[1:-1],
        "product": plan.product.name,
        "handler": HANDLER,
        "runtime": plan.target.runtime,
        "tag": plan.target.runtime,
        "arch": plan.target.arch,
        "memory_mib": memory_of(contents),
        "memory_why": "memory_mib of its functions, together" if shared else "memory_mib of the function",
        "timeout_s": timeout_s,
        "timeout_why": f"timeout_s, and {MARGIN_S} for what is around it",
        "main": contents.title,
        "provisioned": choices.provisioned,
        "batch": batch_of(contents),
        "visibility_s": VISIBILITY * timeout_s,
        "ledger_actions": ", ".join(FUNCTION_ACTIONS),
        "ledger_properties": _ledger_properties(),
    }


def _ledger_properties() -> str:
    """Write the properties of the ledger's table as the template has them: names in lines, what they hold in braces."""
    properties = {**TABLE, "TimeToLiveSpecification": TIME_TO_LIVE}
    return "\n".join(f"{INDENT}{line}" for name, value in properties.items() for line in _property(name, value))


def _property(name: str, value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield f"{name}:"
        yield from (f"  - {_flow(one)}" for one in value)
    else:
        yield f"{name}: {_flow(value)}"


def _flow(value: object) -> str:
    """Write a value on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_flow(one)}' for name, one in value.items())}}}"
    return json.dumps(value) if isinstance(value, bool) else str(value)
