"""Cases of broken answers: what a source, a pull or a listener makes of each."""

from __future__ import annotations

import copy
import json
import random
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kbsync.domain.errors import KbsyncError
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.stages.pull.pull import pull
from kbsync.wikidata.answers import parse
from kbsync.wikidata.event_frames import Broken, Frame
from kbsync.wikidata.events import EventStream, _Position
from kbsync.wikidata.queries import Shape
from kbsync.wikidata.responses import Response, Transient, retry_after
from kbsync.wikidata.source import WikidataSource
from tests.support.broken_answers import TEXTS, THINGS, BreakingClient, broken_answer, small_world
from tests.support.stage_world import make_world

ITEMS = [ItemId(f"Q{n}") for n in (1, 2, 3, 4, 9)]
PROPERTIES = [PropertyId(p) for p in ("P35", "P571", "P1082")]
PATTERN = Relation(
    name="head of state",
    property=PropertyId("P35"),
    label="head of state",
    phrasings=from_templates("The head of state of {} is"),
    subject_pattern="?item p:P35 []",
)
RELATIONS = [
    PATTERN,
    *(
        Relation(name=p, property=p, label=p, phrasings=from_templates("{} is"), subjects=tuple(ITEMS))
        for p in PROPERTIES[1:]
    ),
]


@dataclass
class Outcome:
    """How the cases ended."""

    cases: int = 0
    taken: int = 0
    """Cases that ended without an error."""
    refused: Counter[str] = field(default_factory=Counter)
    """Cases that ended with an error of kbsync, by its class."""
    untyped: list[str] = field(default_factory=list)
    """Cases that ended with any other error: the case's number and the error's last lines."""

    def run(self, number: int, case: Callable[[random.Random], None]) -> None:
        self.cases += 1
        try:
            case(random.Random(number))
            self.taken += 1
        except (KbsyncError, Broken, Transient) as error:
            self.refused[type(error).__name__] += 1
        except Exception:
            self.untyped.append(f"{number}: {' '.join(traceback.format_exc().split())[-600:]}")


class Questions:
    """One broken answer to one question of a source."""

    def __init__(self) -> None:
        self._client = BreakingClient(small_world())

    def __call__(self, draw: random.Random) -> None:
        source = WikidataSource(self._client, batch=3, subject_page=2)
        self._client._closed, self._client.breaks = None, draw
        if draw.random() < 0.9:
            source._known_shape = Shape.SERVICE  # else the answer that tells it is a broken one
        asked: tuple[Callable[[], object], ...] = (
            source.server_time,
            lambda: source.subjects(PATTERN),
            lambda: list(source.heads(ITEMS)),
            lambda: list(source.records(ITEMS, PROPERTIES)),
            lambda: list(source.records(ITEMS, PROPERTIES)),
            lambda: list(source.labels(ITEMS)),
        )
        draw.choice(asked)()


def answers(draw: random.Random) -> None:
    """One broken answer by itself."""
    status, headers, body = broken_answer(json.loads(_PLAIN), draw)
    response = Response(status, headers, body)
    parse(response, "http://127.0.0.1:9/sparql", retry_after(response, datetime(2026, 1, 1, tzinfo=UTC)))


_PLAIN = json.dumps(
    {
        "head": {"vars": ["item", "rev"]},
        "results": {
            "bindings": [
                {
                    "item": {"type": "uri", "value": f"http://www.wikidata.org/entity/Q{n}"},
                    "rev": {"type": "literal", "value": str(n)},
                }
                for n in range(1, 6)
            ]
        },
    }
)


class Pulls:
    """A pull into a ledger, some of whose answers are broken; then an honest one."""

    def __init__(self, directory: Path) -> None:
        url = f"sqlite:///{directory / 'ledger.sqlite3'}"
        schema.upgrade(url)
        self._ledger = SqlLedger(url)
        self._world = make_world(self._ledger)
        self._client = BreakingClient(small_world())

    def close(self) -> None:
        self._ledger.close()

    def __call__(self, draw: random.Random) -> None:
        client, share = self._client, draw.choice((0.2, 0.5, 1.0))
        client._closed = None
        source = WikidataSource(client, name=f"source {draw.random()}", batch=draw.choice((2, 200)))
        true = client.__class__._exchange

        def some(query: str, *, short: bool) -> object:
            client.breaks = draw if draw.random() < share else None
            return true(client, query, short=short)

        client._exchange = some  # type: ignore[method-assign, assignment]
        self._world.clock.time = max(self._world.clock.time, datetime(2026, 1, 2, tzinfo=UTC))
        pull(self._world.run, source, RELATIONS, accept_deletions=draw.random() < 0.7)


def events(draw: random.Random) -> None:
    """One event of a stream that no honest one sends."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    stream = EventStream("http://127.0.0.1:9/", "tests@example.org", now=lambda: begun)
    event: dict[str, object] = {
        "wiki": "wikidatawiki", "namespace": 0, "type": "edit", "title": "Q1", "revision": {"new": 5},
        "meta": {"dt": "2026-01-01T00:00:30Z", "id": "a", "domain": "www.wikidata.org"},
    }  # fmt: skip
    for _ in range(draw.choice((1, 2, 3))):
        inside = draw.choice([event, *(part for part in event.values() if isinstance(part, dict))])
        inside[draw.choice([*inside, "x"])] = copy.deepcopy(draw.choice((*THINGS, *TEXTS)))
    data = json.dumps(event)
    if draw.random() < 0.2:
        data = draw.choice((data[:20], "[" * 60_000, "null", "[]", '"x"', "9" * 6_000, data + data))
    stream._item_event(Frame(event="message", data=data, id=draw.choice(("", *TEXTS))), _Position(begun - timedelta(0)))


def fuzz(cases: int, seed: int, *, pulls: int) -> Outcome:
    """Run cases that are drawn from ``seed``.

    Args:
        cases: Their number.
        pulls: How many of them are pulls into a ledger, which take the longest.
    """
    outcome, questions = Outcome(), Questions()
    with tempfile.TemporaryDirectory(prefix="kbsync-fuzz-") as directory:
        pulling = Pulls(Path(directory))
        for number in range(cases):
            case = pulling if number < pulls else (events, answers, answers, questions)[number % 4]
            outcome.run(seed * 10**9 + number, case)
        pulling.close()
    return outcome
