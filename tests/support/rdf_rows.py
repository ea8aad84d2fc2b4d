"""SELECT queries to an RDF store in this process."""

from __future__ import annotations

import pyoxigraph


def rows(store: pyoxigraph.Store, query: str) -> pyoxigraph.QuerySolutions:
    """The solutions of ``query``; fails where it is no SELECT."""
    found = store.query(query)
    assert isinstance(found, pyoxigraph.QuerySolutions)
    return found
