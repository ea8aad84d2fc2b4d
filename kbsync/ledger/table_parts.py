"""What all tables are built from: rules for names, and columns and constraints that several tables have."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import CheckConstraint, Column, ColumnElement, Identity, Index, MetaData, Table, and_, text, tuple_

from kbsync.ledger.types import Whole

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def one_of(column: str, enum: type[StrEnum]) -> CheckConstraint:
    """The constraint that the column holds a member of ``enum``."""
    members = ", ".join(f"'{member.value}'" for member in enum)
    return CheckConstraint(f"{column} IN ({members})", name=column)


def table(name: str, *parts: Any) -> Table:
    return Table(name, metadata, *parts, sqlite_strict=True)


def serial() -> Column[int]:
    """A key that grows with every row; there is one writer at a time, so its order is the order of commits."""
    return Column("seq", Whole, Identity(), primary_key=True)


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of only those rows for which ``where`` holds, on either database."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def has_key(columns: Sequence[Any], keys: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a row's key, in these columns, is one of ``keys``.

    SQLite compares a row of values with a list by reading the whole table, so the first column is compared by itself,
    which leads along the index that begins with it.
    """
    if len(columns) == 1:
        return cast(ColumnElement[bool], columns[0].in_([key[0] for key in keys]))
    firsts = list(dict.fromkeys(key[0] for key in keys))
    return and_(columns[0].in_(firsts), tuple_(*columns).in_(keys))
