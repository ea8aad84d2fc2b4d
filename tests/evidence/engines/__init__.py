"""SPARQL engines: the suite of sources on each, and whether all of them lead to the same ledger."""
