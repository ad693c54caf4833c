"""Load by wrk: some clients send one body again and again; what it counted comes back."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("post.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk counted; `failed` are answers from 400 up, and connections that broke or timed out."""

    requests: int
    duration_us: int
    failed: int
    p50_us: int
    p99_us: int

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.requests * 1e6 / self.duration_us


def require_wrk() -> None:
    """Say how to get wrk where there is none; exits with 2."""
    if shutil.which("wrk") is None:
        message = "The load comes from wrk, which is not installed. Install it (apt-get install wrk), or name other parts: --help"
        raise SystemExit(message)


def send_load(url: str, body: Path, clients: int, seconds: float, key: str = "") -> Load:
    """Have `clients` connections send a body, each its next one when the last is answered, for whole seconds."""
    whole = max(1, round(seconds))
    shown = ["-H", f"Authorization: Bearer {key}"] if key else []
    command = ["wrk", "-t1", f"-c{clients}", f"-d{whole}s", *shown, "-s", str(SCRIPT), url, "--", str(body)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=whole + 30)
    return Load(**json.loads(told.stdout.splitlines()[-1]))
