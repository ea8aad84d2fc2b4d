"""Typed settings (TOML and environment); every mistake is reported at once."""
