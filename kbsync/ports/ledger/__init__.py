"""The ledger: a reader and a writer for each subject, and the transactions that compose them."""
