"""Reads and writes the ledger, with one module for each subject; ``kbsync.ledger.ledger`` combines them."""
