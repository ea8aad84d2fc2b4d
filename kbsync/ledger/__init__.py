"""The ledger on SQL: SQLite by default, PostgreSQL from the same code. ``ledger.SqlLedger`` is the way in."""
