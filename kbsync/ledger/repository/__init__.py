"""The ledger's questions and changes, one module a subject; ``kbsync.ledger.ledger`` puts them together."""
