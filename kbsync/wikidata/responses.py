"""What an endpoint sent, and the error that a refusal means: whether the same query, or a smaller one, may be answered.

Engines put the query into their errors, Blazegraph before the exception and QLever beside it. ``Response.said`` leaves
it out, so that its words are never taken for the engine's.
"""

from __future__ import annotations

import email.message
import email.utils
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kbsync.domain.errors import SourceDown, SourceError

LONGEST_PAUSE = timedelta(days=365)
"""A longer pause that an endpoint asks for is shortened to this."""

_TIMED_OUT = re.compile(
    r"time-?out|timed[ -]?out|has been cancell?ed|deadline exceeded|time limit|estimated execution time", re.IGNORECASE
)
_QUERYS_OWN = re.compile(
    r"\b(37000|42000|22[0-9A-Z]{3}) Error|MalformedQuery|parse error|syntax error|lexical error|"
    r"not (yet )?(supported|implemented)|unsupported",
    re.IGNORECASE,
)
"""Texts with which engines say that the query itself is wrong, even with a status of 5xx: Virtuoso's SQL states for
syntax and limits, Blazegraph's exceptions. The same query would fail again."""
_TOO_MUCH = re.compile(
    r"memory (pool|limit)|out ?of ?memory|tried to allocate|too (many|large|long|big)", re.IGNORECASE
)
"""Texts with which engines say that a query exceeds their limits. A smaller query may be answered."""
_TELLING = ("exception", "message", "error", "detail")
"""Names under which engines and gateways tell an error in JSON; QLever's is the first."""
_JAVA = re.compile(r"^(?:[a-z]\w*\.)+\w*(?:Exception|Error)\b", re.MULTILINE)
"""An exception of Java at the beginning of a line: Blazegraph's, after the query."""
_LONGEST_QUERY = 200_000
"""Characters before an exception; no query of ours is so long."""
_EXCERPT = 200
"""Characters of a text that go into a message."""


class QueryTimeout(SourceDown):
    """The query took longer than the endpoint's or our limit. Only a smaller query may be answered."""


class TooLarge(SourceError):
    """The query or its answer exceeds a size limit. A smaller query may be answered."""


class Transient(Exception):
    """The same query may be answered a little later. This error is not raised outside this package.

    Args:
        next_step: What the operator can do about it.
        retry_after: Seconds that the endpoint asks us to wait; None if it does not say.
        final: The class of the error that is raised after the last attempt.
    """

    def __init__(
        self,
        what: str,
        *,
        next_step: str,
        retry_after: float | None = None,
        final: type[SourceError] = SourceDown,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.retry_after = retry_after
        self.final = final


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Their names are in lower case."""
    body: bytes
    method: str = "POST"
    """The method of the request."""

    @property
    def text(self) -> str:
        """The body as UTF-8; invalid bytes are replaced."""
        return self.body.decode("utf-8", errors="replace")

    @property
    def said(self) -> str:
        """What the body of an error says, without the query: QLever's exception, or Java's, or the whole text."""
        text = self.text
        try:
            document = json.loads(text, parse_int=no_number, parse_float=no_number)
        except (ValueError, RecursionError):
            document = None
        told = [document.get(name) for name in _TELLING] if isinstance(document, dict) else []
        if words := [words for words in told if isinstance(words, str)]:
            return words[0]
        exception = _JAVA.search(text, 0, _LONGEST_QUERY)
        return text[exception.start() :] if exception else text

    @property
    def excerpt(self) -> str:
        """The beginning of what it says in one line, without markup, for messages."""
        return in_short(self.said)

    @property
    def media_type(self) -> str:
        """In lower case and without parameters; empty where there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        """The encoding that the content type names; empty where it names none."""
        content_type = email.message.Message()
        content_type["content-type"] = self.headers.get("content-type", "")
        return str(content_type.get_content_charset(""))


def in_short(text: str) -> str:
    """The beginning of a text in one line, without markup."""
    plain = " ".join(re.sub(r"<[^>]*>", " ", text[: 10 * _EXCERPT]).split())
    return plain if len(plain) <= _EXCERPT else plain[:_EXCERPT] + "…"


def retry_after(response: Response, now: datetime) -> float | None:
    """Seconds that ``Retry-After`` asks us to wait; None where it is absent or unreadable.

    A date is compared with the response's own ``Date``, because both come from the same clock; ``now`` is used only if
    there is no ``Date``. The result is at most ``LONGEST_PAUSE``.
    """
    text, longest = response.headers.get("retry-after", "").strip(), LONGEST_PAUSE.total_seconds()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(float(text), longest)
    at = _http_date(text)
    if at is None:
        return None
    seconds = (at - (_http_date(response.headers.get("date", "")) or now)).total_seconds()
    return min(max(0.0, seconds), longest)


def _http_date(text: str) -> datetime | None:
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def refusal(response: Response, endpoint: str, wait: float | None) -> Exception:
    """The error that a status other than 200 means."""
    status = response.status
    reason = f"status {status}" + (f", {response.excerpt!r}" if response.excerpt else "")
    if status in (408, 504) or (status >= 400 and wait is None and _TIMED_OUT.search(response.said)):
        return timeout(response, endpoint)
    if status in (413, 414) or (status in (400, 500) and _TOO_MUCH.search(response.said)):
        return TooLarge(f"{endpoint} finds the query too large: {reason}.", next_step="Ask for less at once.")
    if status in (500, 501) and _QUERYS_OWN.search(response.said):
        return SourceError(
            f"{endpoint} can't run the query: {reason}.",
            next_step="Is a relation's subject pattern correct SPARQL? Else this engine can't be used.",
        )
    if status == 429 or status >= 500:
        overloaded = status in (429, 503)
        step = "The endpoint is overloaded; the next pull tries again." if overloaded else "The endpoint is failing."
        return Transient(reason + ".", next_step=step, retry_after=wait)
    if 300 <= status < 400:
        target = response.headers.get("location", "an unnamed address")
        return SourceError(
            f"{endpoint} redirects to {target} (status {status}), and a redirected query loses its text.",
            next_step="Set the endpoint to the address that answers.",
        )
    hints = {
        400: "It does not understand the query: is a relation's subject pattern correct SPARQL?",
        401: "It wants credentials, which kbsync does not send.",
        404: "There is no endpoint at this address (the public service's ends in /sparql).",
    }
    return SourceError(
        f"{endpoint} refuses the query: {reason}.", next_step=hints.get(status, "Check the endpoint's address.")
    )


def interruption(text: str, response: Response, endpoint: str) -> SourceError | None:
    """The error that a text means by which an engine broke off its rows, in a response of status 200.

    None: the text says neither that the query took too long nor that it needs too much.
    """
    if _TIMED_OUT.search(text):
        return timeout(response, endpoint)
    if _TOO_MUCH.search(text):
        return TooLarge(
            f"{endpoint} broke off its answer: {in_short(text[-2 * _EXCERPT :])!r}.", next_step="Ask for less at once."
        )
    return None


def no_number(_: str) -> None:
    """No number of a document is read: one of a million digits would take minutes."""


def timeout(response: Response, endpoint: str) -> QueryTimeout:
    return QueryTimeout(
        f"{endpoint} gave up on the query (status {response.status}).", next_step="Ask for less at once."
    )
