"""The status page, health and metrics: read from the ledger, served on loopback unless a token guards them."""
