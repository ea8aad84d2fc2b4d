"""Everything that an endpoint can do wrong: which error follows, how often kbsync asks again, and how long it waits."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from datetime import datetime, timedelta

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.wikidata.responses import QueryTimeout, TooLarge
from tests.support import scripted_server as on
from tests.support.scripted_server import Act, ScriptedServer
from tests.support.sparql_clients import GOOD, NOW, QUERY, Ask, Patience

HALF = on.results(on.GOOD_ROW)[:60]
BLAZEGRAPH = b"SPARQL-QUERY: queryStr=SELECT\njava.util.concurrent.TimeoutException\n\tat java.base/FutureTask.get"


TRANSIENT: dict[str, Act] = {
    "429 without a time": on.http(429, b"slow down", kind="text/plain"),
    "500 that is no timeout": on.http(500, b"java.lang.NullPointerException", kind="text/plain"),
    "502 bad gateway": on.http(502, b"<html><body>upstream</body></html>", kind="text/html"),
    "503 unavailable": on.http(503, b"maintenance", kind="text/plain"),
    "connection reset": on.reset(),
    "closed without a word": on.raw(b""),
    "not HTTP": on.raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "body shorter than promised": on.cut(HALF),
    "chunk shorter than promised": on.cut_chunk(HALF),
    "JSON cut by the end of the connection": on.unbounded(HALF),
    "empty body": on.http(200, b""),
    "error text inside the JSON": on.http(200, HALF + b"java.lang.RuntimeException: interrupted"),
    "gzip that ends early": on.http(200, gzip.compress(on.results(on.GOOD_ROW))[:-9], Content_Encoding="gzip"),
    "gzip that is damaged": on.http(200, gzip.compress(on.results(on.GOOD_ROW))[:20] * 3, Content_Encoding="gzip"),
    "bytes that are not UTF-8": on.http(200, on.results(on.GOOD_ROW).replace(b"42", b"\xff\xfe")),
}

MISTAKEN: dict[str, Act] = {
    "HTML with status 200": on.http(200, b"<html><h1>Welcome to nginx</h1></html>", kind="text/html"),
    "plain text with status 200": on.http(200, b"Please set a user agent", kind="text/plain"),
    "no content type": on.raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + on.results(on.GOOD_ROW)),
    "JSON that is no result": on.http(200, b'{"exception": "something else", "status": "ERROR"}'),
    "JSON that is no object": on.http(200, b"[1, 2]"),
    "an ASK's answer": on.http(200, b'{"head": {}, "boolean": true}'),
    "a term of unknown type": on.http(200, on.results({"n": {"type": "triple", "value": {}}})),
}

TIMEOUTS: dict[str, Act] = {
    "500 with Java's exception": on.http(500, BLAZEGRAPH, kind="text/plain"),
    "504 from a gateway": on.http(504, b"<html>Gateway Time-out</html>", kind="text/html"),
    "408": on.http(408),
    "429 that means the query": on.http(429, b'{"exception": "Operation timed out."}', kind="application/json"),
    "an exception inside the JSON": on.http(200, HALF + BLAZEGRAPH),
    "a cancelled stream": on.unbounded(HALF + b"The SPARQL operation has been cancelled"),
    "text with status 200": on.http(200, BLAZEGRAPH, kind="text/plain"),
    "a JSON error with status 200": on.http(200, b'{"exception": "Query timed out"}'),
}

REFUSALS: dict[str, tuple[Act, str]] = {
    "400": (on.http(400, b"Lexical error at line 3", kind="text/plain"), "Lexical error at line 3"),
    "401": (on.http(401), "credentials"),
    "404": (on.http(404, b"<html>Not Found</html>", kind="text/html"), "/sparql"),
    "405": (on.http(405), "405"),
    "301": (on.http(301, Location="https://elsewhere.example/sparql"), "https://elsewhere.example/sparql"),
    "302": (on.http(302, Location="/login"), "/login"),
    "307": (on.http(307, Location="https://elsewhere.example/sparql"), "https://elsewhere.example/sparql"),
    "308": (on.http(308, Location="https://elsewhere.example/sparql"), "https://elsewhere.example/sparql"),
}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_transient_fault_is_asked_again_and_the_good_answer_used(
    fault: str, client_of: Ask, patience: Patience
) -> None:
    with ScriptedServer(TRANSIENT[fault], TRANSIENT[fault], on.good()) as server:
        assert client_of(server.endpoint).select(QUERY) == GOOD
        assert len(server.requests) == 3
    first, second = patience.slept
    assert 1 <= first <= 2 <= second <= 3


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_lasting_fault_is_a_source_that_is_down(fault: str, client_of: Ask, patience: Patience) -> None:
    with ScriptedServer(TRANSIENT[fault]) as server:
        with pytest.raises(SourceDown) as caught:
            client_of(server.endpoint).select(QUERY)
        assert len(server.requests) == 3
        assert server.endpoint in caught.value.what
    assert not isinstance(caught.value, QueryTimeout)
    assert caught.value.next_step
    assert len(patience.slept) == 2


@pytest.mark.parametrize("fault", MISTAKEN)
def test_an_answer_of_another_kind_is_asked_again_and_then_an_error(
    fault: str, client_of: Ask, patience: Patience
) -> None:
    with ScriptedServer(MISTAKEN[fault], on.good()) as server:
        assert client_of(server.endpoint).select(QUERY) == GOOD
        assert len(server.requests) == 2
    with ScriptedServer(MISTAKEN[fault]) as server:
        with pytest.raises(SourceError) as caught:
            client_of(server.endpoint).select(QUERY)
        assert len(server.requests) == 3
    assert not isinstance(caught.value, SourceDown)
    assert not caught.value.transient


@pytest.mark.parametrize("fault", TIMEOUTS)
def test_a_query_timeout_is_not_asked_again(fault: str, client_of: Ask, patience: Patience) -> None:
    with ScriptedServer(TIMEOUTS[fault], on.good()) as server:
        client = client_of(server.endpoint)
        with pytest.raises(QueryTimeout):
            client.select(QUERY)
        assert len(server.requests) == 1
        assert client.select(QUERY) == GOOD
    assert patience.slept == []


def test_a_label_about_timeouts_in_a_cut_body_is_no_query_timeout(client_of: Ask) -> None:
    body = on.results({"n": {"type": "literal", "value": "Time-out (film), timed out"}})[:-4]
    with ScriptedServer(on.cut(body), on.good()) as server:
        assert client_of(server.endpoint).select(QUERY) == GOOD


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_refusal_is_final_and_says_why(fault: str, client_of: Ask, patience: Patience) -> None:
    act, reason = REFUSALS[fault]
    ways = ["GET", "POST"] if fault in ("400", "405") else ["GET"]  # some endpoints take queries by POST alone
    with ScriptedServer(*[act] * len(ways), on.good()) as server:
        client = client_of(server.endpoint)
        with pytest.raises(SourceError) as caught:
            client.select(QUERY)
        assert [request.method for request in server.requests] == ways
        assert client.select(QUERY) == GOOD
    assert reason in str(caught.value)
    assert not isinstance(caught.value, SourceDown)
    assert patience.slept == []


def test_an_endpoint_that_takes_queries_by_post_alone_is_asked_so(client_of: Ask) -> None:
    with ScriptedServer(on.http(405), on.good()) as server:
        client = client_of(server.endpoint)
        assert client.select(QUERY) == client.select(QUERY) == GOOD
        assert [request.method for request in server.requests] == ["GET", "POST", "POST"]


def test_a_redirect_is_not_followed(client_of: Ask) -> None:
    with ScriptedServer(on.good()) as target:
        with ScriptedServer(on.http(302, Location=target.endpoint)) as server, pytest.raises(SourceError):
            client_of(server.endpoint).select(QUERY)
        assert target.requests == []


def test_retry_after_in_seconds_is_never_shortened(client_of: Ask, patience: Patience) -> None:
    with ScriptedServer(on.http(429, Retry_After="120"), on.good()) as server:
        assert client_of(server.endpoint).select(QUERY) == GOOD
    assert patience.slept == [120.0]


def test_retry_after_as_a_date_counts_by_the_servers_clock(client_of: Ask, patience: Patience) -> None:
    act = on.http(503, Date="Sun, 01 Mar 2026 11:00:00 GMT", Retry_After="Sun, 01 Mar 2026 11:01:30 GMT")
    with ScriptedServer(act, on.good()) as server:
        assert client_of(server.endpoint).select(QUERY) == GOOD
    assert patience.slept == [90.0]


def test_retry_after_as_a_date_without_the_servers_clock(client_of: Ask, patience: Patience) -> None:
    with ScriptedServer(on.http(429, Retry_After="Sun, 01 Mar 2026 12:00:40 GMT"), on.good()) as server:
        assert client_of(server.endpoint).select(QUERY) == GOOD
    assert patience.slept == [40.0]


@pytest.mark.parametrize("unreadable", ["soon", "-5", "1.5", "9" * 400, "Sun, 99 Mar 2026"])
def test_an_unreadable_retry_after_leaves_our_own_patience(unreadable: str, client_of: Ask, patience: Patience) -> None:
    with ScriptedServer(on.http(429, Retry_After=unreadable), on.good()) as server:
        assert client_of(server.endpoint).select(QUERY) == GOOD
    assert 1 <= patience.slept[0] <= 2


def test_a_long_retry_after_closes_the_door_instead_of_blocking(client_of: Ask, patience: Patience) -> None:
    with ScriptedServer(on.http(429, Retry_After="3600"), on.good()) as server:
        client = client_of(server.endpoint, max_wait=300.0)
        with pytest.raises(SourceDown, match="2026-03-01 13:00:00 UTC"):
            client.select(QUERY)
        patience.sleep(3599)
        with pytest.raises(SourceDown, match="13:00:00"):
            client.select(QUERY)
        assert len(server.requests) == 1
        patience.sleep(1)
        assert client.select(QUERY) == GOOD


def test_a_good_answer_opens_the_door_again(client_of: Ask, patience: Patience) -> None:
    """A clock that was set back while we waited must not keep us out."""
    with ScriptedServer(on.http(429, Retry_After="60"), on.good()) as server:
        client = client_of(server.endpoint)
        assert client.select(QUERY) == GOOD
        patience.at = NOW
        assert client.select(QUERY) == GOOD


def test_a_retry_after_goes_before_talk_of_timeouts(client_of: Ask, patience: Patience) -> None:
    act = on.http(503, b"backend timed out", kind="text/plain", Retry_After="7")
    with ScriptedServer(act, on.good()) as server:
        assert client_of(server.endpoint).select(QUERY) == GOOD
    assert patience.slept == [7.0]


def test_used_up_attempts_do_not_shorten_the_last_retry_after(client_of: Ask, patience: Patience) -> None:
    with ScriptedServer(on.http(429, Retry_After="60")) as server:
        client = client_of(server.endpoint)
        with pytest.raises(SourceDown):
            client.select(QUERY)
        assert patience.slept == [60.0, 60.0]
        with pytest.raises(SourceDown, match="12:03:00"):
            client.select(QUERY)
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("act", "until"),
    [
        (on.http(403, b"Forbidden"), "2026-03-02 12:00:00"),
        (on.http(403, Retry_After="7200"), "2026-03-01 14:00:00"),
        (on.http(403, b"You have been banned until 2026-99-99T99:99:99Z, please"), "2026-03-02 12:00:00"),
        (on.http(403, b"You have been banned until 2026-03-01T18:30:00.123Z, please"), "2026-03-01 18:30:00"),
    ],
)
def test_a_ban_opens_the_breaker(act: Act, until: str, client_of: Ask, patience: Patience) -> None:
    with ScriptedServer(act, on.good()) as server:
        client = client_of(server.endpoint)
        with pytest.raises(SourceDown, match=until):
            client.select(QUERY)
        with pytest.raises(SourceDown, match=until):
            client.select(QUERY)
        assert len(server.requests) == 1
        patience.at = datetime.fromisoformat(f"{until}Z") + timedelta(seconds=1)
        assert client.select(QUERY) == GOOD
    assert patience.slept == []


def test_a_server_that_says_nothing_is_a_timeout(client_of: Ask) -> None:
    with ScriptedServer(on.hang(), on.good()) as server:
        client = client_of(server.endpoint, timeout=0.3)
        with pytest.raises(QueryTimeout, match=r"silent for 0\.3 seconds"):
            client.select(QUERY)
        assert client.select(QUERY) == GOOD


@pytest.mark.parametrize("act", [on.drip_headers(), on.drip_body(on.results(on.GOOD_ROW) + b" " * 1000)])
def test_a_slow_drip_ends_at_the_deadline(act: Act, client_of: Ask) -> None:
    with ScriptedServer(act, on.good()) as server:
        client = client_of(server.endpoint, timeout=1.0, deadline=0.5)
        begun = time.monotonic()
        with pytest.raises(QueryTimeout, match=r"within 0\.5 seconds"):
            client.select(QUERY)
        assert 0.4 < time.monotonic() - begun < 2
        assert client.select(QUERY) == GOOD


def test_a_given_up_body_is_not_read_on(client_of: Ask) -> None:
    with ScriptedServer(on.drip_body(b" " * 1000)) as server:
        with pytest.raises(QueryTimeout):
            client_of(server.endpoint, deadline=0.3).select(QUERY)
        give_up = time.monotonic() + 5
        while any(thread.name == "sparql-exchange" for thread in threading.enumerate()):
            assert time.monotonic() < give_up
            time.sleep(0.02)


@pytest.mark.parametrize("act", [on.http(200, b"{" + b" " * 5000), on.unbounded(b" " * 5000), on.http(413)])
def test_an_answer_beyond_the_bound_is_too_large(act: Act, client_of: Ask, patience: Patience) -> None:
    with ScriptedServer(act, on.good()) as server:
        client = client_of(server.endpoint, max_bytes=1000)
        with pytest.raises(TooLarge):
            client.select(QUERY)
        assert len(server.requests) == 1
        assert client.select(QUERY) == GOOD
    assert patience.slept == []


def test_a_compressed_answer_is_read_and_bounded_by_its_size_when_unpacked(client_of: Ask) -> None:
    packed = on.http(200, gzip.compress(on.results(on.GOOD_ROW)), Content_Encoding="gzip")
    bomb = on.http(200, gzip.compress(on.results(on.GOOD_ROW) + b" " * 10**7), Content_Encoding="gzip")
    with ScriptedServer(packed, bomb) as server:
        client = client_of(server.endpoint, max_bytes=100_000)
        assert client.select(QUERY) == GOOD
        with pytest.raises(TooLarge):
            client.select(QUERY)
    assert "gzip" in server.requests[0].headers["accept-encoding"]


def test_a_huge_error_text_is_cut_and_stays_the_error_that_it_is(client_of: Ask) -> None:
    with (
        ScriptedServer(on.http(400, b"x" * 100_000, kind="text/plain")) as server,
        pytest.raises(SourceError) as caught,
    ):
        client_of(server.endpoint, max_bytes=1000).select(QUERY)
    assert not isinstance(caught.value, TooLarge)
    assert len(str(caught.value)) < 600


def test_connection_refused(client_of: Ask, patience: Patience) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}/sparql"
    with pytest.raises(SourceDown) as caught:
        client_of(endpoint).select(QUERY)
    assert endpoint in caught.value.what
    assert "refused" in caught.value.what
    assert "address" in caught.value.next_step
    assert len(patience.slept) == 2


def test_a_name_that_does_not_resolve(client_of: Ask, patience: Patience) -> None:
    with pytest.raises(SourceDown, match=r"wikidata\.invalid"):
        client_of("http://wikidata.invalid/sparql").select(QUERY)
    assert len(patience.slept) == 2


def test_a_name_server_that_hangs(client_of: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def stuck(*_: object, **__: object) -> list[object]:
        released.wait(10)
        raise socket.gaierror("released")

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    try:
        with pytest.raises(QueryTimeout, match=r"within 0\.3 seconds"):
            client_of("http://wikidata.example/sparql", deadline=0.3).select(QUERY)
    finally:
        released.set()
