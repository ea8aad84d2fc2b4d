"""What every ledger must do with the audit trail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from kbsync.domain.audit import GENESIS, verify
from kbsync.ports import Ledger
from kbsync.testing.samples import HOUR, NOW


class AuditConformance:
    """The audit trail is a chain, however many write it."""

    def test_audit_events_form_a_chain(self, ledger: Ledger) -> None:
        body = {"what": "naïve “quotes” 東京 \x00", "floats": [1.0, 1e300, -1e-17, 0.1], "at": NOW, "none": None}
        with ledger.write() as tx:
            assert tx.audit_head() == GENESIS
            first = tx.append_audit("pull", "cli:alice", body, NOW)
            second = tx.append_audit("probe", "daemon", {"nested": {"b": (1, 2), "a": True}}, NOW + HOUR)
        assert (first.seq, first.prev, second.seq, second.prev) == (1, GENESIS, 2, first.hash)
        with ledger.read() as tx:
            assert tx.audit() == [first, second]
            assert tx.audit(after=1) == [second]
            assert tx.audit(limit=1) == [first]
            assert tx.audit_head() == second.hash
            assert verify(tx.audit()) is None

    def test_four_writers_append_fifty_each_without_an_error(self, ledger: Ledger) -> None:
        def append(writer: int) -> None:
            for number in range(50):
                with ledger.write() as tx:
                    tx.append_audit("pull", f"writer {writer}", {"number": number}, NOW)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(append, range(4)))
        with ledger.read() as tx:
            events = tx.audit()
        assert verify(events) is None
        for writer in range(4):
            numbers = [e.body["number"] for e in events if e.actor == f"writer {writer}"]
            assert numbers == list(range(50))
