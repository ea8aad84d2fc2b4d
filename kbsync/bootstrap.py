"""The only place where adapters are built."""
