"""The ledger port is composed of a reader and a writer for each subject, and nothing else."""

from __future__ import annotations

import pytest

from kbsync.ports import (
    AuditReader,
    AuditWriter,
    FactPageReader,
    FactReader,
    FactWriter,
    LeaseReader,
    LeaseWriter,
    LedgerReader,
    LedgerTransaction,
    NameReader,
    NameWriter,
    ReleaseReader,
    ReleaseWriter,
    StatementReader,
    StatementWriter,
    VerdictReader,
    VerdictWriter,
    VersionReader,
    VersionWriter,
)

SUBJECTS: dict[type, type] = {
    StatementReader: StatementWriter,
    NameReader: NameWriter,
    FactReader: FactWriter,
    VerdictReader: VerdictWriter,
    VersionReader: VersionWriter,
    ReleaseReader: ReleaseWriter,
    AuditReader: AuditWriter,
    LeaseReader: LeaseWriter,
}


READS_ALL = frozenset({"examine"})
"""What looks at all subjects at once, to compare them with the audit trail."""
WRITES_ALL = READS_ALL | {"accept_rows"}


def methods(port: type) -> frozenset[str]:
    return port.__abstractmethods__  # type: ignore[attr-defined, no-any-return]


def test_the_whole_is_the_sum_of_its_subjects() -> None:
    pages = methods(FactPageReader)  # only read
    assert methods(LedgerReader) == READS_ALL.union(pages, *map(methods, SUBJECTS))
    assert methods(LedgerTransaction) == WRITES_ALL.union(pages, *map(methods, SUBJECTS.values()))


def test_no_two_subjects_share_a_method() -> None:
    subjects = [*SUBJECTS.values(), FactPageReader]
    assert sum(len(methods(subject)) for subject in subjects) + len(WRITES_ALL) == len(methods(LedgerTransaction))


@pytest.mark.parametrize("reader", SUBJECTS)
def test_a_writer_reads_too_and_a_reader_does_not_write(reader: type) -> None:
    writer = SUBJECTS[reader]
    assert issubclass(writer, reader)
    assert issubclass(LedgerReader, reader) and not issubclass(LedgerReader, writer)
    assert methods(reader) < methods(writer)


@pytest.mark.parametrize("reader", SUBJECTS)
def test_a_subject_stays_small_enough_to_be_faked(reader: type) -> None:
    assert len(methods(reader)) <= 10


@pytest.mark.parametrize("port", [*SUBJECTS, *SUBJECTS.values()])
def test_every_method_says_what_it_does(port: type) -> None:
    assert [name for name in methods(port) if not getattr(port, name).__doc__] == []
