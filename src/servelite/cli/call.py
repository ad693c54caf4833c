"""`servelite call`: one call, without a server or to a running one."""

import asyncio
import contextlib
import http.client
import json
import logging
import mimetypes
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import click

from servelite.assembly.engines import start_local_engine
from servelite.assembly.environment import own_key
from servelite.cli.options import ledger_option
from servelite.core.call import Call
from servelite.core.errors import DefinitionError, ServeliteError, ServiceError, from_wire
from servelite.core.function import BINARY, Description
from servelite.core.waterfall import WIDTH, to_text
from servelite.runtime.environments import interpreter, runs_elsewhere
from servelite.runtime.folders import find_function

ENTERED = "servelite-entered"
"""Marks the process that entered an environment, so that one which can't be entered is not tried for ever; no child inherits it."""

URL_TIMEOUT_S = 3000
"""How long a server may take; its own limits come first."""


@click.command("call")
@click.argument("path")
@click.argument("input_", metavar="[INPUT | @FILE | -]", required=False)
@click.option("--url", help="Call a running server, for example http://127.0.0.1:8080.")
@click.option("--trace", "is_traced", is_flag=True, help="Print the waterfall of the call and its stages, too; to stderr.")
@ledger_option
def call_command(*, path: str, input_: str | None, url: str | None, is_traced: bool, ledger: str) -> None:
    """Call a function once: the output goes to stdout, the receipt to stderr. A pipeline's functions are looked for beside it.

    Without INPUT the first line of examples.jsonl is sent. `-` reads stdin, `@FILE` a file. With --url
    PATH is the function's name, or its folder, and the key in SERVELITE_KEY is sent, if there is one.

    \b
    Example:
      servelite call functions/sentiment '{"text": "I love it"}'
      servelite call sentiment @review.json --url http://127.0.0.1:8080
      servelite call functions/triage --trace
    """
    if is_traced and url is None and ledger == "none":
        raise DefinitionError("--trace is read from the ledger, and --ledger none keeps nothing. Name a ledger, or leave the option out.")
    if url is None:
        _enter_environment(find_function(Path(path)))
    body, media_type = read_input(input_)
    if url is not None:
        _call_server(url, Path(path).resolve().name, body, media_type, is_traced=is_traced)
    else:
        _log_to_stderr(with_tracebacks=click.get_current_context().find_root().params["debug"])
        asyncio.run(_call_here(Path(path), body, media_type, ledger, is_traced=is_traced))


def _enter_environment(folder: Path) -> None:
    """Go on as the Python of the function's own environment, with the same command line, where that is another one."""
    if runs_elsewhere(folder) and ENTERED not in sys._xoptions:  # noqa: SLF001  its documented name
        python = interpreter(folder)
        os.execv(python, [python, "-X", ENTERED, "-P", "-m", "servelite", *sys.argv[1:]])  # noqa: S606  no shell is wanted


class _Brief(logging.Formatter):
    """Leaves tracebacks out: the message names the exception, and --debug shows where it came from."""

    def formatException(self, ei: object) -> str:  # noqa: N802  logging's own name
        return ""


def _log_to_stderr(*, with_tracebacks: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter((logging.Formatter if with_tracebacks else _Brief)("%(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler])


def read_input(said: str | None) -> tuple[bytes | None, str]:
    """Return the body that INPUT stands for, None for the first example; and its media type, where a file's name tells it."""
    if said is None:
        return None, ""
    if said == "-":
        if sys.stdin is None:
            raise DefinitionError("There is no stdin to read. Give the input itself, or @FILE.")
        return sys.stdin.buffer.read(), ""
    if not said.startswith("@"):
        return said.encode(errors="surrogateescape"), ""
    file = Path(said[1:])
    try:
        return file.read_bytes(), mimetypes.guess_type(file.name)[0] or ""
    except OSError as error:
        raise DefinitionError(f"{file} can't be read: {error.strerror}. @FILE names a file that holds the input.") from error


async def _call_here(folder: Path, body: bytes | None, media_type: str, ledger: str, *, is_traced: bool) -> None:
    with contextlib.redirect_stdout(sys.stderr):  # what a handler.py prints is not its output
        engine = await start_local_engine(folder, ledger)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # nor is what a handler prints
            name = next(iter(engine.pools))
            function = engine.describe(name)
            if body is None:
                body = _first_example(function)
            call_id = engine.new_id()
            answer = await engine.call(Call(call_id, name, media_type if function.accepts(media_type) else "", body))
        if is_traced:
            _print_trace(to_text(engine.ledger.family(call_id), _columns()))
        _print(answer.body, answer.media_type, str(answer.receipt), answer.error)
    finally:
        await engine.stop()


def _first_example(function: Description) -> bytes:
    if not function.examples:
        raise DefinitionError(f"{function.name} has no examples.jsonl to take an input from. Give one: servelite call PATH INPUT")
    click.echo(f"input: {json.dumps(function.examples[0]['input'], ensure_ascii=False)}", err=True)
    return function.encode_input(function.examples[0]["input"])


def _call_server(url: str, name: str, body: bytes | None, media_type: str, *, is_traced: bool) -> None:
    connection: http.client.HTTPConnection | None = None
    own = own_key()
    key = {"Authorization": f"Bearer {own}"} if own else {}
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=URL_TIMEOUT_S)
        base = parts.path.rstrip("/")
        path = f"{base}/functions/{quote(name, safe='')}"
        if body is None:
            body = _first_example(_describe_remote(connection, path, key))
        connection.request("POST", path, body, {**key, **({"Content-Type": media_type} if media_type else {})})
        response = connection.getresponse()
        content = response.read()
        if is_traced and "Servelite-Receipt" in response.headers:
            _print_trace(_read_trace(connection, f"{base}/calls/{response.headers['X-Request-Id']}", key))
    except ValueError as error:
        raise DefinitionError(f"{url} is no URL: {error}. Write for example http://127.0.0.1:8080.") from error
    except (OSError, http.client.HTTPException) as error:
        raise ServiceError(f"No answer from {url}: {error}. Is the server running? Start one with: servelite run PATH") from error
    finally:
        if connection is not None:
            connection.close()
    failed = _problem(content) if response.status != 200 else None
    _print(content, response.headers.get_content_type(), response.headers.get("Servelite-Receipt", ""), failed)


def _describe_remote(connection: http.client.HTTPConnection, path: str, key: dict[str, str]) -> Description:
    connection.request("GET", path, headers=key)
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise _problem(content)
    return Description.from_dict(json.loads(content))


def _read_trace(connection: http.client.HTTPConnection, path: str, key: dict[str, str]) -> str:
    connection.request("GET", path, headers={**key, "Accept": "text/plain"})
    response = connection.getresponse()
    content = response.read()
    return content.decode() if response.status == 200 else f"trace: {_problem(content).detail}"


def _print_trace(text: str) -> None:
    click.echo(text.rstrip("\n"), err=True)


def _columns() -> int:
    return shutil.get_terminal_size((WIDTH, 0)).columns


def _problem(content: bytes) -> ServeliteError:
    try:
        told = json.loads(content)
        return from_wire(told["code"], told["detail"])
    except (ValueError, KeyError, TypeError):
        return ServiceError(f"The server answered something that is not servelite's: {content[:200]!r}")


def _print(output: bytes, media_type: str, receipt: str, error: ServeliteError | None) -> None:
    """Print an answer, text with a line end and bytes as they are; an error goes the way of all errors, after the receipt."""
    if error is None:
        click.echo(output, nl=media_type != BINARY and not output.endswith(b"\n"))
    if receipt:
        click.echo(f"receipt: {receipt}", err=True)
    if error is not None:
        raise error
