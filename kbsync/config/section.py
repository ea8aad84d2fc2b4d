"""What every section of the configuration is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of all sections: frozen, and a key that does not exist is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
