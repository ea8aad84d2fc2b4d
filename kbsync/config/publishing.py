"""``[release]``: in what form the current version is published, and who is notified when it moves."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from kbsync.config.section import Section
from kbsync.config.values import AnyPath, Duration, ExistingPath, Text, read_secret

_WHSEC = "whsec_"


class PublishingSettings(Section):
    """The path ``<state_dir>/current``, and the notifiers: a command, a webhook, a file elsewhere."""

    publish: Literal["factors", "lora", "hf", "gguf-lora", "gguf"] = "factors"
    """What the path leads to: the low-rank factors with their manifest, a PEFT adapter, a whole model, an adapter as
    GGUF, or the base's GGUF file with the edited tensors replaced."""
    rank: Annotated[int, Field(ge=1)] | None = None
    """Largest rank of an adapter; None: whatever rank the version's factors have."""
    type: Literal["f16", "bf16", "q8_0", "f32"] = "f16"
    """In GGUF files the type of the edited tensors, or of the adapter's."""
    gguf: ExistingPath | None = None
    """The base's GGUF file, where ``model.reference`` does not name one."""
    command: tuple[Text, ...] = ()
    """A program and its arguments, which is run whenever ``current`` moves."""
    webhook: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    """An address that is posted to whenever ``current`` moves."""
    heads_file: AnyPath | None = None
    """A file elsewhere that gets a signed line with the audit trail's head whenever ``current`` moves."""
    secret: SecretStr | None = None
    """Signs the webhook and the lines of ``heads_file``."""
    secret_file: ExistingPath | None = None
    """Holds the secret, instead of ``secret``."""
    timeout: Duration = timedelta(seconds=30)
    """Longest duration of one attempt at telling a notifier."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Attempts in a row; later commands try again."""
    give_up: Annotated[int, Field(ge=1)] = 50
    """Attempts at one move in all, after which a notifier is told of the next."""

    @model_validator(mode="after")
    def _signed(self) -> PublishingSettings:
        if self.rank is not None and self.publish not in ("lora", "gguf-lora"):
            raise ValueError('rank goes with publish = "lora" or "gguf-lora"')
        signing = self.signing
        if (self.webhook or self.heads_file) and len(signing) < 16:
            what = "a webhook is" if self.webhook else "the lines of heads_file are"
            raise ValueError(f"{what} signed: set secret_file (one line of at least 16 characters) or secret")
        return self

    @property
    def signing(self) -> str:
        """What signs the webhook and the lines of ``heads_file``; empty where there is none.

        Raises:
            ValueError: Both keys are set, the file can't be read, or what follows ``whsec_`` is not base64.
        """
        secret = read_secret("secret", self.secret, self.secret_file)
        if secret.startswith(_WHSEC):
            try:
                base64.b64decode(secret.removeprefix(_WHSEC), validate=True)
            except binascii.Error:
                raise ValueError("the secret begins with whsec_, and what follows is no base64") from None
        return secret
