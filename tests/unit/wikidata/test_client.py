"""What the client sends, counts and refuses; tests/faults has what an endpoint can do wrong."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import ConfigError, SourceDown
from kbsync.wikidata.agent import user_agent
from kbsync.wikidata.client import SparqlClient
from tests.support import scripted_server as on
from tests.support.scripted_server import ScriptedServer
from tests.support.sparql_clients import AGENT, GOOD, QUERY, Ask, Patience


def test_what_is_sent(client_of: Ask) -> None:
    with ScriptedServer(on.good()) as server:
        client_of(server.endpoint).select("SELECT ?x WHERE { ?x ?y 'ä & = +' }")
    request = server.requests[0]
    assert (request.method, request.path) == ("GET", "/sparql")
    assert request.headers["user-agent"] == user_agent(AGENT)
    assert request.headers["accept-encoding"] == "gzip"
    assert request.headers["accept"].startswith("application/sparql-results+json")
    assert request.query == "SELECT ?x WHERE { ?x ?y 'ä & = +' }"


def test_a_user_agent_may_hold_any_letter(client_of: Ask) -> None:
    agent = "kbsync (Zoë Gđ; ops@example.org)"
    with ScriptedServer(on.good()) as server:
        assert SparqlClient(server.endpoint, agent).select(QUERY) == GOOD
    assert server.requests[0].headers["user-agent"].encode("latin-1").decode() == user_agent(agent)


def test_a_single_attempt_does_not_sleep(client_of: Ask, patience: Patience) -> None:
    with ScriptedServer(on.http(502)) as server, pytest.raises(SourceDown, match="asked once"):
        client_of(server.endpoint, attempts=1).select(QUERY)
    assert patience.slept == []


@pytest.mark.parametrize("agent", ["", "   ", "kbsync/1", "kbsync/1 (a@example.org)\r\nX-Evil: 1"])
def test_a_user_agent_without_contact_is_refused(agent: str) -> None:
    with pytest.raises(ConfigError, match="user agent"):
        SparqlClient("https://query.wikidata.org/sparql", agent)


@pytest.mark.parametrize("agent", ["kbsync/1 (ops@example.org)", "kbsync/1 (https://example.org/bot)"])
def test_a_user_agent_with_contact_is_accepted(agent: str) -> None:
    assert SparqlClient("https://query.wikidata.org/sparql", agent).endpoint == "https://query.wikidata.org/sparql"


@pytest.mark.parametrize("endpoint", ["", "query.wikidata.org", "ftp://example.org/sparql", "http://", "http://a b/c"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SparqlClient(endpoint, "nobody")
    assert len(caught.value.problems) == 2


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        SparqlClient("https://me:secret@example.org/sparql", AGENT)
    assert "secret" not in str(caught.value)


def test_every_request_is_counted(client_of: Ask) -> None:
    with ScriptedServer(on.http(502), on.good()) as server:
        client = client_of(server.endpoint)
        assert (client.select(QUERY), client.requests) == (GOOD, 2)
        assert (client.select(QUERY), client.requests) == (GOOD, 3)


def test_the_wait_grows_and_is_never_less_than_what_the_endpoint_asks_for(client_of: Ask, patience: Patience) -> None:
    failing = [on.http(502), on.http(429, Retry_After="9"), on.http(502), on.http(502)]
    with ScriptedServer(*failing, on.good()) as server:
        assert client_of(server.endpoint, attempts=5).select(QUERY) == GOOD
    first, asked, third, fourth = patience.slept
    assert 1 <= first <= 2 and asked == 9 and 4 <= third <= 5 and 8 <= fourth <= 9
