"""tune: find a recipe for a base that has none, on facts of the ledger that no version is measured on."""
