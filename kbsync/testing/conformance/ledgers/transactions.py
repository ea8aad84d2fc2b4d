"""What every ledger must do with transactions, and with times."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest

from kbsync.domain.errors import Busy, DataError
from kbsync.ports import Ledger
from kbsync.testing.conformance.ledgers.support import BOTH, UK
from kbsync.testing.samples import HEAD_OF_STATE, HOUR, NOW, record, statement


class TransactionConformance:
    """Transactions are whole, readers see one moment, and writers take turns."""

    def test_a_transaction_commits_at_the_end_of_the_block_and_reads_its_own_writes(self, ledger: Ledger) -> None:
        with ledger.write() as tx:
            tx.set_watermark("wikidata", NOW)
            assert tx.watermark("wikidata") == NOW
        with ledger.read() as tx:
            assert tx.watermark("wikidata") == NOW
            assert tx.watermark("another") is None

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_a_transaction_rolls_back_on_any_exception(self, ledger: Ledger, error: type[BaseException]) -> None:
        with pytest.raises(error), ledger.write() as tx:
            tx.record_items([record(statement(1))], BOTH, NOW)
            tx.append_audit("pull", "test", {}, NOW)
            tx.set_watermark("wikidata", NOW)
            raise error
        with ledger.read() as tx:
            assert tx.watermark("wikidata") is None
            assert tx.heads([UK]) == {}
            assert tx.statement_history(UK, HEAD_OF_STATE) == []
            assert tx.audit() == []

    def test_a_reader_sees_one_moment_and_keeps_nobody_waiting(self, ledger: Ledger) -> None:
        with ledger.write() as tx:
            tx.set_watermark("wikidata", NOW)
        with ledger.read() as reader:
            assert reader.watermark("wikidata") == NOW
            with ledger.write() as tx:
                tx.set_watermark("wikidata", NOW + HOUR)
            assert reader.watermark("wikidata") == NOW
        with ledger.read() as reader:
            assert reader.watermark("wikidata") == NOW + HOUR

    def test_a_reader_does_not_wait_for_a_writer(self, ledger: Ledger) -> None:
        with ledger.write() as tx:
            tx.set_watermark("wikidata", NOW)
            with ledger.read() as reader:
                assert reader.watermark("wikidata") is None

    @pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7)), timezone(timedelta(hours=5, minutes=30))])
    def test_times_come_back_in_utc_to_the_microsecond(self, ledger: Ledger, zone: tzinfo) -> None:
        with ledger.write() as tx:
            tx.set_watermark("wikidata", NOW.astimezone(zone))
        with ledger.read() as tx:
            found = tx.watermark("wikidata")
        assert found == NOW
        assert found is not None and found.utcoffset() == timedelta(0)

    def test_times_without_a_zone_are_refused(self, ledger: Ledger) -> None:
        with pytest.raises(DataError), ledger.write() as tx:
            tx.set_watermark("wikidata", datetime(2026, 1, 1))

    def test_the_second_writer_waits_for_the_first(self, ledger: Ledger) -> None:
        inside, order = threading.Event(), list[str]()

        def second() -> None:
            inside.wait()
            with ledger.write() as tx:
                order.append(tx.audit()[-1].actor)

        thread = threading.Thread(target=second)
        thread.start()
        with ledger.write() as tx:
            inside.set()
            thread.join(timeout=0.2)
            assert order == []
            tx.append_audit("pull", "first", {}, NOW)
        thread.join(timeout=30)
        assert order == ["first"]

    def test_a_writer_that_waited_too_long_is_told_to_come_again(self, ledger: Ledger, hasty: Ledger) -> None:
        with ledger.write() as tx:
            tx.append_audit("pull", "first", {}, NOW)
            with pytest.raises(Busy), hasty.write():
                raise AssertionError("two writers at once")
        with hasty.write() as tx:
            assert tx.append_audit("pull", "second", {}, NOW).seq == 2
