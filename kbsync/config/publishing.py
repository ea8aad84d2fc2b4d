"""``[release]``: in what form what is current can be used, and who is told when it moves."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from kbsync.config.section import Section
from kbsync.config.values import Duration, ExistingPath, Text

_WHSEC = "whsec_"


class PublishingSettings(Section):
    """``publish``: what stands at ``<state_dir>/current``: the low-rank ``factors`` with their manifest, a PEFT adapter
    (``lora``, at most of ``rank``), or a whole model (``hf``).

    ``command`` (a program and its arguments) is run, and ``webhook`` is posted to, whenever current moves. ``secret`` (or
    the file that holds it) signs the webhook. A notifier may take ``timeout`` each time; it is asked ``attempts`` times in a
    row, and by later commands again, until it was asked ``give_up`` times about one move.
    """

    publish: Literal["factors", "lora", "hf"] = "factors"
    rank: Annotated[int, Field(ge=1)] | None = None
    command: tuple[Text, ...] = ()
    webhook: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    secret: SecretStr | None = None
    secret_file: ExistingPath | None = None
    timeout: Duration = timedelta(seconds=30)
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    give_up: Annotated[int, Field(ge=1)] = 50

    @model_validator(mode="after")
    def _sound(self) -> PublishingSettings:
        if self.rank is not None and self.publish != "lora":
            raise ValueError('rank goes with publish = "lora"')
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("secret and secret_file are both set; keep one")
        signing = self.signing
        if self.webhook and len(signing) < 16:
            raise ValueError("a webhook is signed: set secret_file (one line of at least 16 characters) or secret")
        return self

    @property
    def signing(self) -> str:
        """The secret; empty where there is none. Raises ``ValueError`` for a file that can't be read, or no base64
        after ``whsec_``."""
        found = self.secret.get_secret_value() if self.secret else ""
        if self.secret_file is not None:
            try:
                found = self.secret_file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValueError(f"{self.secret_file} can't be read: {error.strerror}") from None
        if found.startswith(_WHSEC):
            try:
                base64.b64decode(found.removeprefix(_WHSEC), validate=True)
            except binascii.Error:
                raise ValueError("the secret begins with whsec_, and what follows is no base64") from None
        return found
