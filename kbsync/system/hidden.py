"""What must not be told: passwords, tokens and keys. The one place that makes a URL printable, and the net under it.

Whoever prints a URL calls ``shown_url``. Messages of libraries, which kbsync does not write, may repeat what they were
given; so the configuration tells ``hide`` the secrets that it holds, and whatever prints errors or logs passes its text
through ``hidden``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote

MASK = "***"
SHORTEST = 6
"""Characters; to hide shorter words would make messages unreadable and guess at words that are no secrets."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
_SECRET_KEY = re.compile(r"pass|pwd|secret|token|key|auth|sig|cred", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(
    r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_KEY|SECRET_KEY|CREDENTIALS?)$", re.IGNORECASE
)
_words: set[str] = set()
"""What ``hidden`` masks in this process."""


def shown_url(url: str) -> str:
    """A URL that may be printed: scheme, host, port and path, without user information, parameters and fragment.

    Where ``@``, ``/`` or ``?`` inside a password leave it open where the host begins, only the scheme is shown. What is
    no URL is shown as it is, unless it holds an ``@``.
    """
    scheme, colon, rest = url.partition("://")
    if not colon or not _SCHEME.match(scheme):
        return MASK if "@" in url else url
    base, mark, parameters = _parted(rest)
    hidden_parameters = f"{mark}{MASK}" if mark else ""
    if base.startswith("/") and ("@" not in rest or scheme.startswith("sqlite")):
        return f"{scheme}://{base}{hidden_parameters}"
    authority, slash, path = base.partition("/")
    if "@" in parameters or "@" in path:
        return f"{scheme}://{MASK}"
    user, at, host = authority.rpartition("@")
    return f"{scheme}://{MASK if user or at else ''}{at}{host}{slash}{path}{hidden_parameters}"


def secrets_in_url(url: str) -> Iterator[str]:
    """Passwords of a URL: before its host, and in parameters whose names say so."""
    scheme, colon, rest = url.partition("://")
    rest = rest if colon else scheme
    head, at, _ = rest.rpartition("@")
    if at and (":" in head or url.startswith("http")):
        yield head
        yield from head.split(":", 1)[1:]
    _, _, parameters = _parted(rest)
    for name, value in parse_qsl(parameters, keep_blank_values=True):
        if _SECRET_KEY.search(name):
            yield value


def secrets_in_environment(variables: Mapping[str, str]) -> Iterator[str]:
    """What variables hold that are not kbsync's own: a proxy's password, the hub's token, keys of a store."""
    for name, value in variables.items():
        if name.upper().endswith("_PROXY"):
            yield from secrets_in_url(value)
        elif _SECRET_VARIABLE.search(name):
            yield value


def hide(words: Iterable[str]) -> None:
    """From now on ``hidden`` masks these words, however they are quoted."""
    for word in words:
        for form in (word, unquote(word), quote(word, safe=""), json.dumps(word)[1:-1], repr(word)[1:-1]):
            if len(form) >= SHORTEST:
                _words.add(form)


def hidden(text: str) -> str:
    """``text`` without the words that ``hide`` was told."""
    for word in sorted(_words, key=len, reverse=True):
        text = text.replace(word, MASK)
    return text


def _parted(rest: str) -> tuple[str, str, str]:
    """What stands before the parameters or the fragment, the mark that begins them, and themselves."""
    found = re.search(r"[?#]", rest)
    return (rest[: found.start()], found[0], rest[found.end() :]) if found else (rest, "", "")
