"""Versions and artifacts on disk: content-addressed, checked byte by byte, written whole or not at all."""
