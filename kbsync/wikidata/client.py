"""The SPARQL endpoint behind one method: ``select`` gives whole, checked rows, or an error that says what to do.

SPARQLWrapper builds the request and is used in this module alone. What it leaves open is done here: a deadline
for the whole exchange, a bound on its size, retries, ``Retry-After``, bans, and answers that claim success and
hold something else.
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
from kbsync.wikidata.answers import Answer, QueryTimeout, Row, TooLarge, Transient, judge, retry_after

BAN = timedelta(hours=24)
"""How long the public service bans, for a ban that does not say until when."""

_BANNED_UNTIL = re.compile(r"until (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)")


class SparqlClient:
    """Asks one endpoint, one question at a time.

    ``timeout`` bounds each silence on the line, ``deadline`` one exchange from the first to the last byte (both in
    seconds; the public service ends a query at 60). ``attempts`` is how often a question is asked when the line or
    the server fails. The endpoint's ``Retry-After`` is waited out in full if it is at most ``max_wait`` seconds;
    else, and after a ban, nothing is asked until its time has come. ``sleep`` and ``now`` are there for tests and
    for a daemon that wants to wake up early. ``requests`` counts what was sent, second attempts included.

    Raises ``ConfigError`` where endpoint or user agent can't be right.
    """

    def __init__(
        self,
        endpoint: str,
        user_agent: str,
        *,
        timeout: float = 70.0,
        deadline: float = 120.0,
        attempts: int = 5,
        max_wait: float = 300.0,
        max_bytes: int = 64 * 2**20,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        problems = _problems(endpoint, user_agent)
        if problems:
            raise ConfigError(problems)
        self.endpoint = endpoint
        self.requests = 0
        self._user_agent = user_agent
        self._timeout = timeout
        self._deadline = deadline
        self._attempts = attempts
        self._max_wait = max_wait
        self._max_bytes = max_bytes
        self._sleep = sleep
        self._now = now
        self._closed: tuple[datetime, str] | None = None

    def select(self, query: str) -> list[Row]:
        """The rows of a SELECT query.

        Raises ``QueryTimeout`` and ``TooLarge`` (a smaller question may be answered), ``SourceDown`` when the
        endpoint could not be had after all attempts or has closed its door, and ``SourceError`` when it refuses
        the question or answers something else than SPARQL results.
        """
        self._refuse_while_closed()
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            retry=tenacity.retry_if_exception_type(Transient),
            wait=_wait,
            sleep=self._sleep,
        )
        try:
            return retrying(self._attempt, query)
        except tenacity.RetryError as error:
            fault = error.last_attempt.exception()
            assert isinstance(fault, Transient)
            times = "once" if self._attempts == 1 else f"{self._attempts} times"
            raise fault.final(f"{self.endpoint}, asked {times}: {fault.what}", next_step=fault.next_step) from fault

    def _attempt(self, query: str) -> list[Row]:
        answer = self._exchange(query)
        wait = retry_after(answer, self._now()) if answer.status != 200 else None
        if answer.status == 403 or wait is not None:
            self._close(answer, wait)
        if answer.status == 403 or (wait or 0) > self._max_wait:
            self._refuse_while_closed()
        rows = judge(answer, self.endpoint, wait)
        self._closed = None
        return rows

    def _close(self, answer: Answer, wait: float | None) -> None:
        """Open the breaker: the endpoint sent us away, and asking on would make that longer.

        It also outlives a question whose attempts are used up, so that the next one does not come too early.
        """
        until = self._now() + (BAN if wait is None else timedelta(seconds=wait))
        if said := _BANNED_UNTIL.search(answer.text):
            with suppress(ValueError):
                until = datetime.fromisoformat(said[1])
        what = "forbids us to ask" if answer.status == 403 else "asks for a pause"
        self._closed = until, f"{what} (status {answer.status}, {answer.excerpt!r})"

    def _refuse_while_closed(self) -> None:
        if self._closed is None:
            return
        until, what = self._closed
        if self._now() < until:
            raise SourceDown(
                f"{self.endpoint} {what}.",
                next_step=f"Nothing will be asked until {until:%Y-%m-%d %H:%M:%S} UTC. A service that throttled us "
                "wants fewer and smaller pulls; one that forbids a user agent wants a contact in it.",
            )
        self._closed = None

    def _exchange(self, query: str) -> Answer:
        """Send the query and read the answer in a thread that is given up at the deadline.

        The timeout bounds one silence only: neither a name server that hangs nor a server that drips its headers or
        its body byte by byte ever meets it.
        """
        self.requests += 1
        answer: Future[Answer] = Future()
        given_up = threading.Event()

        def work() -> None:
            try:
                answer.set_result(self._send(query, given_up))
            except Exception as error:
                answer.set_exception(error)

        threading.Thread(target=work, name="sparql-exchange", daemon=True).start()
        try:
            return answer.result(self._deadline)
        except TimeoutError:
            raise QueryTimeout(
                f"{self.endpoint} did not finish its answer within {self._deadline:g} seconds.",
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
        except http.FAILURES as error:
            raise Transient(
                f"the connection broke ({type(error).__name__}: {error}).", next_step="The next pull tries again."
            ) from error
        finally:
            given_up.set()

    def _send(self, query: str, given_up: threading.Event) -> Answer:
        wrapper = SPARQLWrapper(self.endpoint, agent=self._user_agent, returnFormat=JSON)
        wrapper.setMethod(POST)
        wrapper.setOnlyConneg(True)
        wrapper.setQuery(query)
        request = wrapper._createRequest()
        assert isinstance(request.data, bytes)
        body = bytearray()
        with (
            http.client(dict(request.header_items()), self._timeout) as client,
            client.stream("POST", request.full_url, content=request.data) as response,
        ):
            for piece in response.iter_bytes():
                body += piece
                if given_up.is_set() or len(body) > self._max_bytes:
                    break
        # An error's text is only shown, so that it may be cut off; rows may not.
        if len(body) > self._max_bytes and response.status_code == 200:
            raise TooLarge(
                f"{self.endpoint} answered with more than {self._max_bytes} bytes.",
                next_step="Ask for less at once, or raise the bound on an answer's size.",
            )
        return Answer(response.status_code, response.headers, bytes(body))


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds before the next attempt: growing and jittered, and never less than the endpoint asked for."""
    backoff = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)(state)
    fault = state.outcome.exception() if state.outcome else None
    asked = fault.retry_after if isinstance(fault, Transient) else None
    return max(backoff, asked or 0.0)


def _problems(endpoint: str, user_agent: str) -> list[str]:
    problems = []
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", endpoint):
        problems.append(f"endpoint: {endpoint!r} is not an http or https address.")
    elif parts.username or parts.password:
        problems.append("endpoint: an address with a password in it would end up in logs and errors.")
    if not re.search(r"\S@\S|https?://\S", user_agent) or not user_agent.isprintable():
        problems.append(
            f"user agent: {user_agent!r} names no contact. The service demands a mail address or a web page in it, "
            'as in "kbsync/1.0 (https://example.org; ops@example.org)".'
        )
    return problems
