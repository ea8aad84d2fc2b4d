"""``[served]``: the server that serves the current version, and how it is asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, SecretStr, model_validator

from kbsync.config.secret_settings import MayHoldSecret, SecretFile
from kbsync.config.section import Section
from kbsync.config.values import Duration, ExistingPath, read_secret


class ServedSettings(Section):
    """An OpenAI-compatible server that ``kbsync check-served``, its job and the canaries ask."""

    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$", repr=False), MayHoldSecret()] = ""
    """Its address; empty: there is none."""
    model: Annotated[str, Field(pattern=r"^\S*$")] = ""
    """What it calls the version; empty: the only model that it has."""
    extra: Annotated[dict[str, Any], MayHoldSecret(whole=True)] = Field(default_factory=dict, repr=False)
    """More fields of each request."""
    key: SecretStr | None = None
    """Sent as a bearer token."""
    key_file: Annotated[ExistingPath | None, SecretFile()] = None
    """Holds the key, instead of ``key``."""
    sample: Annotated[int, Field(ge=1)] | None = None
    """Largest number of prompts of each group that are asked; None: all."""
    timeout: Duration = timedelta(seconds=60)
    """Longest silence of the server."""
    canaries: bool = False
    """Whether ``kbsync canary`` asks this server instead of the stored weights."""

    @model_validator(mode="after")
    def _reachable(self) -> ServedSettings:
        if self.canaries and not self.url:
            raise ValueError("canaries are to be asked of the server, and url names none")
        _ = self.secret
        return self

    @property
    def secret(self) -> str:
        """The key; empty where there is none. Raises ``ValueError`` as ``read_secret`` does."""
        return read_secret("key", self.key, self.key_file)
