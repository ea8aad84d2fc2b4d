from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kbsync.domain.audit import GENESIS, AuditEvent, chain, verify

AT = datetime(2026, 1, 1, tzinfo=UTC)


def events(count: int = 5) -> list[AuditEvent]:
    made: list[AuditEvent] = []
    for seq in range(1, count + 1):
        prev = made[-1].hash if made else GENESIS
        made.append(chain(seq, AT, "promote", "cli", {"version": seq}, prev))
    return made


def test_a_whole_chain_verifies() -> None:
    assert verify(events()) is None
    assert verify([]) is None


@pytest.mark.parametrize("place", range(5))
def test_a_change_is_found_and_named(place: int) -> None:
    tampered = events()
    tampered[place] = replace(tampered[place], body={"version": 99})
    assert verify(tampered) == f"event {place + 1} was changed after it was written"


@pytest.mark.parametrize("place", range(4))
def test_a_deletion_is_found_and_named(place: int) -> None:
    tampered = events()
    del tampered[place]
    assert verify(tampered) == f"event {place + 1} is missing (found {place + 2})"


def test_a_reordering_and_a_forged_link_are_found() -> None:
    tampered = events()
    tampered[1], tampered[2] = tampered[2], tampered[1]
    assert verify(tampered) is not None
    forged = events()
    forged[2] = chain(3, AT, "promote", "cli", {"version": 99}, GENESIS)
    assert verify(forged) == "event 3 does not follow event 2"
