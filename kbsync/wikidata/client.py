"""A SPARQL endpoint behind one method: ``select`` returns whole, checked rows, or raises an error that says what to do.

SPARQLWrapper builds the request, and is used in this module alone. This module adds what SPARQLWrapper leaves open: a
deadline for the whole exchange, a bound on the answer's size, retries, ``Retry-After``, bans, a pace, and a check of
answers that claim success and hold something else.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2
import tenacity
from SPARQLWrapper import JSON, POST, SPARQLWrapper

from kbsync.domain.errors import ConfigError, SourceDown
from kbsync.system import http
from kbsync.system.hidden import shown_url
from kbsync.system.printable import printable
from kbsync.wikidata import agent
from kbsync.wikidata.answers import MEDIA_TYPES, Row, parse
from kbsync.wikidata.pace import Pace
from kbsync.wikidata.responses import LONGEST_PAUSE, QueryTimeout, Response, TooLarge, Transient, retry_after
from kbsync.wikidata.unpacking import Damaged, unpacked

BAN = timedelta(hours=24)
"""How long a ban lasts if it does not say until when."""

SHORT = 2000
"""Longest address in characters for which a query is sent by GET, which the service can cache and log."""
BEAT = 0.5
"""Longest time in seconds until a requested stop is noticed while waiting for an answer."""
_MISTAKEN = frozenset({400, 405, 501})
"""Statuses with which an endpoint that accepts queries only by POST may refuse a GET."""

_BANNED_UNTIL = re.compile(r"until (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)")


class SparqlClient:
    """Sends queries to one endpoint, one at a time.

    Args:
        user_agent: Says who asks, with an e-mail address or a URL; goes into the header of that name.
        timeout: Longest time in seconds without a byte from the endpoint.
        deadline: Longest time of a whole exchange in seconds; the public service ends a query at 60.
        attempts: How often a query is sent while the connection or the server fails, including the first time.
        max_wait: Longest ``Retry-After``, in seconds, for which ``select`` waits. After a longer one, and after a ban,
            ``select`` raises an error, and sends nothing until that time has passed.
        max_bytes: Largest answer in bytes, after decompression.
        pause: Seconds for each request after the first ``UNPACED`` ones; time without requests allows as many more
            without a pause later.
        sleep: Waits for a number of seconds between two attempts.
        check: Is called repeatedly while waiting for an answer or a pause; may raise to end the wait.

    Raises:
        ConfigError: ``endpoint`` is no address, or ``user_agent`` names no contact.
    """

    deadline: float
    """Longest time of a whole exchange in seconds."""
    requests: int
    """Number of requests that were sent, including further attempts."""
    server: str
    """The endpoint's ``Server`` header; empty if it has none, or before the first answer."""

    def __init__(
        self,
        endpoint: str,
        user_agent: str,
        *,
        timeout: float = 70.0,
        deadline: float = 120.0,
        attempts: int = 5,
        max_wait: float = 300.0,
        max_bytes: int = 32 * 2**20,
        pause: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        check: Callable[[], None] | None = None,
    ) -> None:
        problems = _problems(endpoint, user_agent)
        if problems:
            raise ConfigError(problems)
        self._address = endpoint
        self.endpoint = shown_url(endpoint)
        self.requests = 0
        self.server = ""
        self._user_agent = agent.user_agent(user_agent)
        self._timeout = timeout
        self.deadline = deadline
        self._attempts = attempts
        self._max_wait = max_wait
        self._max_bytes = max_bytes
        self._pace = Pace(pause, now)
        self._sleep = sleep
        self._now = now
        self._check = check
        self._closed: tuple[datetime, str] | None = None
        self._takes_get: bool | None = None

    def select(self, query: str) -> list[Row]:
        """Run a SELECT query.

        Returns:
            Its rows.

        Raises:
            QueryTimeout: It took too long. A smaller query may be answered.
            TooLarge: It or its answer is too large, or rows are missing. A smaller query may be answered.
            SourceDown: No attempt succeeded, or the endpoint asked for a pause or banned us.
            SourceError: The endpoint refuses the query, or its answers are no SPARQL results.
        """
        self._refuse_while_closed()
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            retry=tenacity.retry_if_exception_type(Transient),
            wait=_wait,
            sleep=self._rest,
        )
        try:
            return retrying(self._attempt, query)
        except tenacity.RetryError as error:
            fault = error.last_attempt.exception()
            assert isinstance(fault, Transient)
            times = "once" if self._attempts == 1 else f"{self._attempts} times"
            raise fault.final(f"{self.endpoint}, asked {times}: {fault.what}", next_step=fault.next_step) from fault

    def _attempt(self, query: str) -> list[Row]:
        response = self._exchange(query, short=self._takes_get is not False)
        if response.method == "GET" and response.status in _MISTAKEN and self._takes_get is None:
            response = self._exchange(query, short=False)
            self._takes_get = False if response.status == 200 else None
        elif response.method == "GET" and response.status == 200:
            self._takes_get = True
        wait = retry_after(response, self._now()) if response.status != 200 else None
        if response.status == 403 or wait is not None:
            self._close(response, wait)
        if response.status == 403 or (wait or 0) > self._max_wait:
            self._refuse_while_closed()
        rows = parse(response, self.endpoint, wait)
        self._closed = None
        return rows

    def _close(self, response: Response, wait: float | None) -> None:
        """Send nothing until the time that the endpoint named, since requests before it may prolong the ban.

        This also holds for the next queries, after all attempts at this one have failed.
        """
        until = self._now() + (BAN if wait is None else timedelta(seconds=wait))
        if ban := _BANNED_UNTIL.search(response.text):
            with suppress(ValueError):
                until = min(datetime.fromisoformat(ban[1]), self._now() + LONGEST_PAUSE)
        reason = "forbids us to ask" if response.status == 403 else "asks for a pause"
        self._closed = until, f"{reason} (status {response.status}, {response.excerpt!r})"

    def _refuse_while_closed(self) -> None:
        if self._closed is None:
            return
        until, reason = self._closed
        if self._now() < until:
            raise SourceDown(
                f"{self.endpoint} {reason}.",
                next_step=f"Nothing will be asked until {until:%Y-%m-%d %H:%M:%S} UTC. A service that throttled us "
                "wants fewer and smaller pulls; one that forbids a user agent wants a contact in it.",
            )
        self._closed = None

    def _rest(self, seconds: float) -> None:
        """Sleep, and notice a requested stop meanwhile."""
        if self._check is None:
            self._sleep(seconds)
            return
        while seconds > 0:
            self._check()
            self._sleep(min(seconds, BEAT))
            seconds -= BEAT
        self._check()

    def _result(self, response: Future[Response]) -> Response:
        """Wait for the answer. Raises ``TimeoutError`` at the deadline."""
        end = time.monotonic() + self.deadline
        while True:
            left = max(0.0, end - time.monotonic())
            try:
                return response.result(left if self._check is None else min(left, BEAT))
            except TimeoutError:
                if self._check is None or left <= BEAT:
                    raise
            self._check()

    def _exchange(self, query: str, *, short: bool) -> Response:
        """Send the query and read the answer in a thread that is abandoned at the deadline.

        The timeout alone does not suffice: it bounds only each time without a byte, so it does not end the wait for a
        name server that hangs, nor for a server that sends its answer byte by byte.
        """
        if (pause := self._pace.pause()) > 0 or self._check is not None:
            self._rest(pause)
        self.requests += 1
        response: Future[Response] = Future()
        abandoned = threading.Event()

        def work() -> None:
            try:
                response.set_result(self._send(query, abandoned, short=short))
            except Exception as error:
                response.set_exception(error)

        threading.Thread(target=work, name="sparql-exchange", daemon=True).start()
        try:
            return self._result(response)
        except TimeoutError:
            raise QueryTimeout(
                f"{self.endpoint} did not finish its answer within {self.deadline:g} seconds.",
                next_step="Ask for less at once, or raise the deadline.",
            ) from None
        except httpx2.ReadTimeout as error:
            raise QueryTimeout(
                f"{self.endpoint} was silent for {self._timeout:g} seconds.",
                next_step="Ask for less at once, or raise the timeout.",
            ) from error
        except http.UNCONNECTED as error:
            raise Transient(
                f"no connection ({error}).",
                next_step="Check the endpoint's address and the network; the next pull tries again.",
            ) from error
        except Damaged as error:
            raise Transient(f"{error}.", next_step="The next pull tries again.") from error
        except http.FAILURES as error:
            raise Transient(
                f"the connection broke ({type(error).__name__}: {error}).", next_step="The next pull tries again."
            ) from error
        finally:
            abandoned.set()

    def _send(self, query: str, abandoned: threading.Event, *, short: bool) -> Response:
        wrapper = SPARQLWrapper(self._address, agent=self._user_agent, returnFormat=JSON)
        wrapper.setMethod(POST)
        wrapper.setOnlyConneg(True)
        wrapper.setQuery(query)
        request = wrapper._createRequest()
        assert isinstance(request.data, bytes)
        headers = dict(request.header_items()) | {"Accept": MEDIA_TYPES[0], "Accept-Encoding": "gzip"}
        method, url, content = "POST", request.full_url, request.data
        in_address = f"{url}{'&' if '?' in url else '?'}{content.decode('ascii')}"
        if short and len(in_address) <= SHORT:
            method, url, content = "GET", in_address, b""
            headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        body = bytearray()
        with (
            http.client(headers, self._timeout) as client,
            client.stream(method, url, content=content or None) as response,
        ):
            for piece in unpacked(response.iter_raw()):
                body += piece
                if abandoned.is_set() or len(body) > self._max_bytes:
                    break
        # The text of an error is only shown, so it may be incomplete; rows must be complete.
        if len(body) > self._max_bytes and response.status_code == 200:
            raise TooLarge(
                f"{self.endpoint} answered with more than {self._max_bytes} bytes.",
                next_step="Ask for less at once, or raise the bound on an answer's size.",
            )
        self.server = printable(response.headers.get("server", ""))[:80]
        return Response(response.status_code, response.headers, bytes(body), method)


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds before the next attempt: exponential with jitter, and never less than the endpoint asked for."""
    backoff = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)(state)
    fault = state.outcome.exception() if state.outcome else None
    demanded = fault.retry_after if isinstance(fault, Transient) else None
    return max(backoff, demanded or 0.0)


def _problems(endpoint: str, user_agent: str) -> list[str]:
    problems = []
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", endpoint):
        problems.append(f"endpoint: {shown_url(endpoint)!r} is not an http or https address.")
    elif parts.username or parts.password:
        problems.append("endpoint: an address with a password in it would end up in logs and errors.")
    if not re.search(r"\S@\S|https?://\S", user_agent) or not user_agent.isprintable():
        problems.append(
            f'user agent: {user_agent!r} names no contact, as in "kbsync/1.0 (https://example.org; ops@example.org)".'
        )
    return problems
