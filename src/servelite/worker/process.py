"""A worker's life: load the function, say READY, then a REPLY for each BATCH until the gateway hangs up."""

import contextlib
import ctypes
import faulthandler
import gc
import json
import logging
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import BinaryIO, NoReturn

from servelite.core import frames
from servelite.core.call import Call, Question
from servelite.core.errors import DefinitionError, FrameError
from servelite.core.frames import Kind
from servelite.core.function import Description
from servelite.core.logs import log_handler
from servelite.worker.asking import Asking, Socket
from servelite.worker.description import describe
from servelite.worker.loader import Function, load
from servelite.worker.onnx import intra_op_threads
from servelite.worker.prints import Prints
from servelite.worker.runner import Runner

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""


def main(folder: Path, socket_fd: int, threads: int, gateway_pid: int) -> None:
    """Serve one function over an inherited Unix socket; returns when the gateway closes it."""
    logging.basicConfig(handlers=[log_handler(is_terminal=sys.stderr.isatty())], level=logging.INFO)
    os.dup2(2, 1)  # what native code and children print goes to the log too, as it is
    faulthandler.enable()  # a crash in native code leaves the line of Python that called it in the log
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # and no core file, which takes longer to write than a new worker to start
    intra_op_threads.set(threads)
    _die_with_the_gateway(gateway_pid)
    quietly = contextlib.suppress(ConnectionError)  # a gateway that hung up needs no answer any more
    function_name = folder.resolve().name
    printed = contextlib.redirect_stdout(Prints(logging.getLogger(f"servelite.function.{function_name}"), function_name))
    with printed, socket.socket(fileno=socket_fd) as connection, connection.makefile("rb") as reader, quietly:
        function = _load(folder, connection)
        gc.freeze()  # what was imported and opened stays; collections need not walk it
        if function is not None:
            _serve(function, reader, connection)


def _die_with_the_gateway(gateway_pid: int) -> None:
    """Have the kernel kill this process when its parent is gone, even in the middle of native code (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != gateway_pid:
        os._exit(0)  # it was gone before it could be watched


def _load(folder: Path, connection: socket.socket) -> Function | None:
    try:
        function = load(folder)
        description = describe(function)
        ready = _written(description)
        own_pid = os.getpid()
        _warm_up(function, description)
        if os.getpid() != own_pid:
            os._exit(0)  # a child that the first example forked has come back
    except DefinitionError as error:
        connection.sendall(frames.frame(Kind.BROKEN, error.detail.encode()))
        return None
    connection.sendall(frames.frame(Kind.READY, ready))
    return function


def _written(description: Description) -> bytes:
    try:
        return json.dumps(description.to_dict(), allow_nan=False).encode()
    except ValueError as error:
        raise DefinitionError(
            f"{description.name}: its examples, card or defaults hold NaN, Infinity or 1e999, which JSON has not."
        ) from error


def _warm_up(function: Function, description: Description) -> None:
    """Run the first example, so that the first caller does not pay for what a model sets up on its first run.

    A pipeline has no models of its own; its stages warm up themselves. So do the functions that a handler calls: it is run up to there.
    """
    if function.pipeline is not None:
        return
    for example in description.examples[:1]:
        call = Call("warm-up", function.name, description.takes[0], description.encode_input(example["input"]))
        with contextlib.suppress(_CallsAnother):
            if error := Runner(function, Asking(_call_no_other)).run([call]).outcomes[0].error:
                logging.getLogger("servelite.worker").warning("%s: its first example fails: %s", function.name, error.detail)


class _CallsAnother(BaseException):
    """The first example's run has come to a call of another function; no Exception, for a handler may catch those."""


def _call_no_other(question: Question) -> NoReturn:
    raise _CallsAnother(question.function)


def _serve(function: Function, reader: BinaryIO, connection: socket.socket) -> None:
    own_pid = os.getpid()
    questions = Socket(reader, connection)
    runner = Runner(function, Asking(questions.exchange))
    while payload := _next_batch(reader):
        calls = frames.unpack_batch(payload, function.name)
        with questions.open_for(calls):
            reply = runner.run(calls)
        if os.getpid() != own_pid:
            os._exit(0)  # a child that the handler forked has come back: only its parent answers
        for frame in frames.pack_reply(reply):
            connection.sendall(frame)


def _next_batch(reader: BinaryIO) -> bytes | None:
    """Return the next BATCH frame's payload, None once the gateway has hung up; FrameError for anything else."""
    head = reader.read(frames.HEAD.size)
    if not head:
        return None
    size, kind = frames.parse_head(head)
    payload = reader.read(size)
    if kind is not Kind.BATCH or len(payload) < size:
        raise FrameError(f"A worker takes whole BATCH frames; it got {len(payload)} of {size} bytes of {kind.name}.")
    return payload
