"""Runs SQL on a ledger without kbsync."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, text


def run(url: str, *statements: str, **parameters: Any) -> None:
    """Each in turn, in one transaction. SQLite checks no foreign keys here: that is its default."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement), parameters)
    finally:
        engine.dispose()


def switch_off(url: str, table: str, event: str) -> str:
    """The statement that removes an append-only table's trigger."""
    trigger = f"{table}_no_{event}"
    return f"DROP TRIGGER {trigger}" + ("" if url.startswith("sqlite") else f" ON {table}")
