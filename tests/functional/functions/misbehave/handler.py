"""Does whatever a handler should not."""

import ctypes
import os
import signal
import sys
import time
from typing import Any

from servelite import InvalidInput, ServeliteError, function

LONG_S = 60
libc = ctypes.PyDLL(None)  # calls through it keep the GIL


def fail() -> str:
    raise RuntimeError("could not log in with password=hunter2-secret at /srv/keys/private.pem")


def told() -> str:
    raise ServeliteError("The dictionary is being updated. Try again in a minute.")


def refuse() -> str:
    raise InvalidInput("This word is not in the dictionary.")


def leave() -> str:
    sys.exit("password=hunter2-secret")


def recurse() -> str:
    return recurse()


def wrong_type() -> Any:
    return {"password": "hunter2-secret"}


def loop() -> str:
    while True:
        pass


def sleep() -> str:
    time.sleep(LONG_S)
    return "slept"


def native_sleep() -> str:
    libc.sleep(LONG_S)
    return "slept"


def exit_hard() -> str:
    os._exit(3)


def abort() -> str:
    os.abort()


def segfault() -> str:
    return ctypes.string_at(0).decode()


def be_killed() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "not killed"


def behave() -> str:
    return "well"


DEEDS = {
    deed.__name__: deed
    for deed in (
        fail,
        told,
        refuse,
        leave,
        recurse,
        wrong_type,
        loop,
        sleep,
        native_sleep,
        exit_hard,
        abort,
        segfault,
        be_killed,
        behave,
    )
}


@function(timeout_s=0.3)
def misbehave(deed: str) -> str:
    return DEEDS[deed]()
