"""The base of every section of the configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Frozen; a key that it does not have is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
