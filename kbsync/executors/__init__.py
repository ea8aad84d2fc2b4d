"""Executors of long work on other machines."""
