"""`servelite emulate`: events for a function on AWS Lambda, as far as that can be had on this machine."""

import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

import click

from servelite.core.errors import DefinitionError
from servelite.tools.emulator.front import serve
from servelite.tools.emulator.parts import find_parts
from servelite.tools.emulator.rooms import is_package, open_room
from servelite.tools.emulator.running import Emulator, Told, emulate


@click.command("emulate")
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("event", metavar="[EVENT.json | -]", required=False)
@click.option("--http", "port", type=click.IntRange(0, 65535), metavar="PORT", help="Serve HTTP as a Function URL does, until Ctrl-C.")
@click.option(
    "--times", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Send the event so often; the first is a cold start."
)
@click.option("--timeout", "timeout_s", default=30, show_default=True, type=click.IntRange(1, 900), help="Seconds that an event may take.")
@click.option(
    "--memory", "memory_mb", default=1024, show_default=True, type=click.IntRange(128, 10_240), help="MB that Lambda says there are."
)
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="A variable of the function's; may be repeated.")
@click.option("--sam", type=click.Path(path_type=Path), help="The sam command of the environment that has aws-sam-cli.")
@click.option("--json", "as_json", is_flag=True, help="Print answer, report, calls and log as JSON.")
def emulate_command(  # noqa: PLR0913  one an option
    *,
    path: Path,
    event: str | None,
    port: int | None,
    times: int,
    timeout_s: int,
    memory_mb: int,
    variables: tuple[str, ...],
    sam: Path | None,
    as_json: bool,
) -> None:
    """Send a function an event through AWS' own runtime client and Runtime Interface Emulator.

    PATH is a function's folder, a folder of them, or what `servelite package` made. Without EVENT the first line of
    examples.jsonl is sent, as a direct invocation. The answer goes to stdout; what the function logs, what the event
    took, and what its calls took go to stderr. Exit code 1 says that the handler raised.

    \b
    Example:
      servelite emulate functions/sentiment
      servelite emulate functions/sentiment event.json --times 3
      servelite emulate build/sentiment.zip --http 8080
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whatever ends this, the emulator ends with it
    parts = find_parts(sam)
    content = b"" if port is not None else _read_event(path, event)
    with open_room(path, parts, _read_variables(variables), (timeout_s, memory_mb)) as room, emulate(room, parts, timeout_s) as emulator:
        if port is not None:
            _serve(emulator, port, memory_mb)
        else:
            _send(emulator, content, times, memory_mb, as_json=as_json)
        room.check_untouched()


def _send(emulator: Emulator, content: bytes, times: int, memory_mb: int, *, as_json: bool) -> None:
    told = []
    for _ in range(times):
        told.append(emulator.invoke(content))
        if not as_json:
            _tell(told[-1], memory_mb)
    if as_json:
        click.echo(json.dumps([_as_data(one) for one in told] if times > 1 else _as_data(told[0]), ensure_ascii=False, indent=2))
    else:
        click.echo(json.dumps(told[-1].answer, ensure_ascii=False))
    if told[-1].error:
        click.echo(f"servelite: the function failed: {told[-1].error}", err=True)
        sys.exit(1)


def _serve(emulator: Emulator, port: int, memory_mb: int) -> None:
    def tell(request: str, told: Told) -> None:
        click.echo(request, err=True)
        _tell(told, memory_mb)

    with contextlib.suppress(KeyboardInterrupt):
        serve(emulator, port, lambda url: click.echo(f"Emulating AWS Lambda on {url} (Ctrl-C stops)"), tell)


def _read_event(path: Path, event: str | None) -> bytes:
    """Return the event as it is sent: a file's content, stdin's, or the first example."""
    if event is None:
        return json.dumps(_first_example(path)).encode()
    try:
        content = sys.stdin.buffer.read() if event == "-" else Path(event).read_bytes()
        json.loads(content)
    except OSError as error:
        raise DefinitionError(f"{event} can't be read: {error.strerror}. EVENT.json is a file that holds an event.") from error
    except ValueError as error:
        raise DefinitionError(f"{event} is not JSON: {error}. `sam local generate-event` makes events of every kind.") from error
    return content


def _first_example(path: Path) -> Any:
    file = path / "examples.jsonl"
    if is_package(path) or not file.is_file():
        raise DefinitionError(f"{path} has no examples.jsonl to take an input from. Name an event: servelite emulate PATH EVENT.json")
    line = file.read_text(encoding="utf-8").partition("\n")[0]
    try:
        value = json.loads(line)["input"]
    except (ValueError, KeyError, TypeError) as error:
        raise DefinitionError(f'{file}:1: a line of it is {{"input": …, "output": …}}.') from error
    click.echo(f"event: {json.dumps(value, ensure_ascii=False)}", err=True)
    return value


def _read_variables(said: tuple[str, ...]) -> dict[str, str]:
    for one in said:
        if not one.partition("=")[0] or "=" not in one:
            raise DefinitionError(f"--env {one} is no variable. Write NAME=VALUE.")
    return {name: value for name, _, value in (one.partition("=") for one in said)}


def _tell(told: Told, memory_mb: int) -> None:
    for line in told.log:
        click.echo(line, err=True)
    report = told.report
    started = f"init {report.init_ms:.0f} ms, " if report.init_ms else ""
    figures = f"{started}duration {report.duration_ms:.1f} ms, billed {report.billed_ms} ms, memory {report.memory_mb} of {memory_mb} MB"
    click.echo(f"REPORT {figures}", err=True)
    for call in told.metrics:
        times = ", ".join(f"{name.replace('_', '-')}={call[name]}" for name in ("compute_us", "init_us", "queue_us", "batch", "billed_ms"))
        click.echo(f"receipt: {call['function']} {call['code']}, {times}, cost={call['cost']:.12f}", err=True)


def _as_data(told: Told) -> dict[str, Any]:
    report = told.report
    figures = {"duration_ms": report.duration_ms, "init_ms": report.init_ms, "billed_ms": report.billed_ms, "memory_mb": report.memory_mb}
    return {"answer": told.answer, "error": told.error or None, "report": figures, "calls": told.metrics, "log": told.log}
