"""Keys for servers that ask for one, made as `servelite keys create` does, but without its wait."""

from pathlib import Path

from servelite.assembly.ledgers import create_key


def make_key(
    folder: Path, account: str = "acme", functions: tuple[str, ...] = ("*",), expires_us: int | None = None, *, is_admin: bool = False
) -> str:
    """Return a new key for a server that runs in a folder; one that runs already knows it a moment later."""
    _, shown = create_key(str(folder / ".servelite" / "ledger.db"), account, "test", functions, expires_us, is_admin=is_admin)
    return shown


def bearer(key: str) -> dict[str, str]:
    """Return the headers that show a key."""
    return {"Authorization": f"Bearer {key}"}
