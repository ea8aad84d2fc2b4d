"""The only place where adapters are built: from a configuration to a working application."""

from kbsync.bootstrap.app import App

__all__ = ["App"]
