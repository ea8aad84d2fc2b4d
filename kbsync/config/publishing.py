"""``[release]``: in what form the current version is published, and who is notified when it moves."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from kbsync.config.secret_settings import MayHoldSecret, SecretFile
from kbsync.config.section import Section
from kbsync.config.values import AnyPath, Duration, ExistingPath, Text, read_secret

_WHSEC = "whsec_"


class EngineSettings(Section):
    """A serving engine that is given every version that becomes current."""

    kind: Literal["vllm", "sglang", "llama.cpp"]
    """By whose interface it is told."""
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$", repr=False), MayHoldSecret()] = ""
    """vllm, sglang: its address."""
    adapter: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = "kbsync"
    """vllm, sglang: the name of the model that clients ask for."""
    key: SecretStr | None = None
    """vllm, sglang: sent as a bearer token."""
    key_file: Annotated[ExistingPath | None, SecretFile()] = None
    """Holds the key, instead of ``key``."""
    command: Annotated[tuple[Text, ...], MayHoldSecret()] = Field(default=(), repr=False)
    """llama.cpp: the server and its arguments, with ``{port}``, ``{directory}`` and ``{adapter}``."""
    canaries: Annotated[int, Field(ge=0)] = 5
    """Facts that the new version must answer before it takes the place of the old one."""
    timeout: Duration = timedelta(minutes=2)
    """How long it may take until a version is loaded."""
    drain: Duration = timedelta(seconds=30)
    """llama.cpp: how long the old process may finish what it began."""

    @model_validator(mode="after")
    def _complete(self) -> EngineSettings:
        if self.kind == "llama.cpp" and not any("{port}" in argument for argument in self.command):
            raise ValueError('kind "llama.cpp" needs a command with {port}')
        if self.kind != "llama.cpp" and not self.url:
            raise ValueError(f'kind "{self.kind}" needs a url')
        _ = self.secret
        return self

    @property
    def secret(self) -> str:
        """The key; empty where there is none. Raises ``ValueError`` as ``read_secret`` does."""
        return read_secret("key", self.key, self.key_file)


class PublishingSettings(Section):
    """The path ``<state_dir>/current``, and the notifiers: a command, a webhook, a file elsewhere."""

    publish: Literal["factors", "lora", "hf", "gguf-lora", "gguf"] = "factors"
    """What the path leads to: the low-rank factors with their manifest, a PEFT adapter, a whole model, an adapter as
    GGUF, or the base's GGUF file with the edited tensors replaced."""
    rank: Annotated[int, Field(ge=1)] | None = None
    """Largest rank of an adapter; None: whatever rank the version's factors have."""
    override: Annotated[str, Field(max_length=1000)] = ""
    """A person's reason to publish adapters of that rank although they don't pass the gate."""
    dtype: Literal["", "float32", "bfloat16", "float16"] = ""
    """Of a whole model or a PEFT adapter; empty: a model's is the base's, an adapter's float32."""
    type: Literal["f16", "bf16", "q8_0", "f32"] = "f16"
    """In GGUF files the type of the edited tensors, or of the adapter's."""
    gguf: ExistingPath | None = None
    """The base's GGUF file, where ``model.reference`` does not name one."""
    command: Annotated[tuple[Text, ...], MayHoldSecret()] = Field(default=(), repr=False)
    """A program and its arguments, which is run whenever ``current`` moves."""
    webhook: Annotated[str, Field(pattern=r"^(https?://\S+)?$", repr=False), MayHoldSecret()] = ""
    """An address that is posted to whenever ``current`` moves."""
    heads_file: AnyPath | None = None
    """A file elsewhere that gets a signed line with the audit trail's head whenever ``current`` moves."""
    secret: SecretStr | None = None
    """Signs the webhook and the lines of ``heads_file``."""
    secret_file: Annotated[ExistingPath | None, SecretFile()] = None
    """Holds the secret, instead of ``secret``."""
    engine: EngineSettings | None = None
    """A serving engine that is told by its own interface."""
    timeout: Duration = timedelta(seconds=30)
    """Longest duration of one attempt at telling a command or a webhook."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Attempts in a row; later commands try again."""
    give_up: Annotated[int, Field(ge=1)] = 50
    """Attempts at one move in all, after which a notifier is told of the next."""

    @model_validator(mode="after")
    def _signed(self) -> PublishingSettings:
        if self.rank is not None and self.publish not in ("lora", "gguf-lora"):
            raise ValueError('rank goes with publish = "lora" or "gguf-lora"')
        wanted = {"vllm": ("lora",), "sglang": ("lora",), "llama.cpp": ("gguf", "gguf-lora")}
        if self.engine is not None and self.publish not in wanted[self.engine.kind]:
            raise ValueError(f'engine "{self.engine.kind}" needs publish = {" or ".join(wanted[self.engine.kind])}')
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
