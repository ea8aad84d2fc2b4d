"""The status page, health and metrics: read from the ledger, served on loopback only unless a token is configured."""
