"""The settings of ``kbsync.toml``: one frozen class per section; unknown keys are refused."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, model_validator

from kbsync.config.edit import EditSettings, TuneSettings
from kbsync.config.evaluate import EvaluateSettings
from kbsync.config.executor import ExecutorSettings
from kbsync.config.gate import GateSettings
from kbsync.config.publishing import PublishingSettings
from kbsync.config.schedule import ScheduleSettings
from kbsync.config.secret_settings import MayHoldSecret, SecretFile
from kbsync.config.section import Section
from kbsync.config.served import ServedSettings
from kbsync.config.values import (
    AnyDuration,
    AnyPath,
    DatabaseUrl,
    Dtype,
    Duration,
    Endpoint,
    ExistingPath,
    Language,
    Text,
    base_directory,
    hide_password,
    path_in_url,
    read_secret,
)
from kbsync.domain.retention import RetentionPolicy

_PROPERTY = r"^(P[1-9][0-9]{0,11})?$"


def _contact(agent: str) -> str:
    if not re.search(r"@|https?://", agent):
        raise ValueError('must hold a contact, an e-mail address or a URL: "kbsync (mailto:name@host)"')
    return agent


def _concept_base(text: str) -> str:
    """Without ``/entity``. Wikidata's own IRIs begin with http, though its pages are served by https."""
    base = text.rstrip("/").removesuffix("/entity")
    return re.sub(r"^https?://(www\.)?wikidata\.org$", "http://www.wikidata.org", base)


class SourceSettings(Section):
    """The SPARQL endpoint, and the event stream beside it."""

    endpoint: Annotated[Endpoint, Field(repr=False), MayHoldSecret()] = "https://query.wikidata.org/sparql"
    """Its address; or ``oxigraph:DIRECTORY`` for a local store that kbsync serves itself."""
    scholarly: Annotated[str, Field(pattern=r"^(https?://\S+)?$", repr=False), MayHoldSecret()] = ""
    """A second endpoint, for items that the first does not know and relations with ``graph = "scholarly"``."""
    events: Annotated[str, Field(pattern=r"^(https?://\S+)?$", repr=False), MayHoldSecret()] = ""
    """Address of an event stream that the daemon listens to; empty: changes are found by polling alone."""
    user_agent: Annotated[str, AfterValidator(_contact)]
    """Names who asks, with an e-mail address or a URL."""
    concept_base: Annotated[
        str, Field(pattern=r'^https?://[^\s/<>"]+(/[^\s<>"]*)?$'), AfterValidator(_concept_base)
    ] = "http://www.wikidata.org"
    """What the IRIs of the items begin with, before ``/entity/``: another Wikibase has its own."""
    start_time: Annotated[str, Field(pattern=_PROPERTY)] = "P580"
    """Its property for this qualifier; empty where it has none."""
    end_time: Annotated[str, Field(pattern=_PROPERTY)] = "P582"
    """Likewise."""
    point_in_time: Annotated[str, Field(pattern=_PROPERTY)] = "P585"
    """Likewise."""
    events_wiki: Text = "wikidatawiki"
    """Its name on the event stream."""
    language: Language = "en"
    """Language of labels, aliases and templates."""
    batch: Annotated[int, Field(ge=1, le=1000)] = 200
    """Items per query."""
    timeout: Duration = timedelta(seconds=70)
    """Longest silence on the line."""
    deadline: Duration = timedelta(seconds=120)
    """Longest exchange as a whole: from looking the name up to the last byte."""
    max_wait: AnyDuration = timedelta(minutes=5)
    """Longest ``Retry-After`` that is waited out on the spot."""
    pause: AnyDuration = timedelta(seconds=1)
    """After 20 queries in a row, the next ones are sent no faster than one in this time."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """How often a query is sent where the line or the server fails, the first time included."""

    @model_validator(mode="after")
    def _order(self) -> SourceSettings:
        if self.deadline < self.timeout:
            raise ValueError("deadline is shorter than timeout, so no request could use its time")
        return self


def _reference(text: str, info: ValidationInfo) -> str:
    is_path = text.startswith((".", "~", "/")) or text.endswith(".gguf")
    return str(base_directory(info) / Path(text).expanduser()) if is_path else text


def _system_prompt(text: str) -> str:
    if "{}" in text:
        raise ValueError("must not hold {}, which stands for the question")
    return text.strip()


PlaceOfModule = Annotated[str, Field(pattern=r"^(cpu|disk|(cuda|xpu|mps)(:\d+)?)$")]
MemorySize = Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[KMG]i?B$")]


class ModelSettings(Section):
    """The base model."""

    reference: Annotated[Text, AfterValidator(_reference)]
    """What ``kbsync.model.load`` takes. The path of a directory must begin with ``.``, ``~`` or ``/``."""
    name: Annotated[str, Field(pattern=r"^\S*$")] = ""
    """The base's name as servers know it, for adapters; empty: its name on the hub, or its directory."""
    dtype: Dtype = "float32"
    """Floating-point type of the weights in memory."""
    device: Text = "auto"
    """Where the model runs: ``auto``, ``cpu``, ``cuda``, …"""
    device_map: Literal["", "auto"] | dict[str, PlaceOfModule] = ""
    """For a model that is too large for one device (extra ``offload``): ``auto``, or a table that gives each module its
    device, or ``disk``. Empty: all of it goes to ``device``."""
    max_memory: dict[str, MemorySize] = Field(default_factory=dict)
    """Of each device that ``auto`` may use: ``{ "0" = "20GiB", cpu = "30GiB" }``; the rest goes to the disk."""
    base_answer_tokens: Annotated[int, Field(ge=1, le=100)] = 10
    """Length of a probed answer in tokens."""
    chat: Literal["auto", "always", "never"] = "auto"
    """Whether the chat template is used. ``auto``: for questions and dialogue, where there is one. ``always``: for
    held-out statements, too, and a model without one is refused. ``never``: all is plain completion."""
    system: Annotated[str, AfterValidator(_system_prompt)] = ""
    """The system prompt of such a chat; empty: the template's own, if it has one."""


class ProbeSettings(Section):
    """How the base is asked what it believes."""

    phrasings: Annotated[int, Field(ge=1, le=20)] = 3
    """Number of edit phrasings in which a fact is asked: the first statement, a question, another statement, …"""


class TextSettings(Section):
    """Files or directories of text."""

    corpus: tuple[ExistingPath, ...] = ()
    """Text for the key covariance. Where ``datasets`` is empty, too, the model samples its own text."""
    datasets: tuple[Text, ...] = ()
    """Datasets of the Hugging Face hub, for the same."""
    dataset_characters: Annotated[int, Field(ge=1000)] = 10_000_000
    """Number of characters that are read from the beginning of each dataset."""
    held_out: tuple[ExistingPath, ...] = ()
    """Text for the perplexity; empty: the text that is shipped."""
    held_out_characters: Annotated[int, Field(ge=1000)] = 20_000
    """Number of characters of it that are read; an evaluation reads them twice."""


class StoreSettings(Section):
    """Where versions, target vectors and covariances are stored."""

    url: Annotated[str, Field(pattern=r"^([a-z][a-z0-9+.-]*:\S+)?$", repr=False), MayHoldSecret()] = ""
    """Any place that fsspec reaches (``s3://bucket/kbsync``, ``file:///mnt/share``); empty: ``state_dir``."""
    options: Annotated[dict[str, Any], MayHoldSecret(whole=True)] = Field(default_factory=dict, repr=False)
    """Options of fsspec's driver. Secrets are better left to the driver's own environment variables."""


class RetentionSettings(Section):
    """What ``kbsync gc`` keeps (``domain.retention.RetentionPolicy``)."""

    keep_last: Annotated[int, Field(ge=1)] = 10
    """Number of newest versions whose weights are kept."""
    keep_newer: AnyDuration = timedelta(days=30)
    """Weights of versions that are younger than this are kept, too."""
    rollback_window: Annotated[int, Field(ge=1)] = 3
    """And those of this many versions where ``current`` stood last."""
    spare: AnyDuration = timedelta(days=7)
    """What no kept version needs is still kept until it is older than this."""

    @property
    def policy(self) -> RetentionPolicy:
        """The same as the domain's type."""
        return RetentionPolicy(**self.model_dump())


class LeaseSettings(Section):
    """The lease of the single writer."""

    ttl: Duration = timedelta(minutes=10)
    """How long its holder may do nothing before another process may take over."""


class LogSettings(Section):
    """What is logged to standard error."""

    format: Literal["json", "console"] = "console"
    """One JSON object per line, or lines for people."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important level that is shown."""


LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts that only this machine can reach."""


class WebSettings(Section):
    """The status page."""

    enabled: bool = False
    """Whether the daemon serves it, too."""
    host: Text = "127.0.0.1"
    """Where it listens."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8640
    """0: any that is free."""
    token: SecretStr | None = None
    """Demanded for every action, and for every page where ``host`` is not loopback."""
    token_file: Annotated[ExistingPath | None, SecretFile()] = None
    """Holds the token, instead of ``token``."""

    @model_validator(mode="after")
    def _guarded(self) -> WebSettings:
        token = self.secret
        if token is None and not self.loopback:
            raise ValueError(f"{self.host} can be reached from outside: set token or token_file")
        if token is not None and len(token) < 16:
            raise ValueError("the token is shorter than 16 characters")
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach ``host``."""
        return self.host in LOOPBACK

    @property
    def secret(self) -> str | None:
        """The token; None where neither key is set. Raises ``ValueError`` as ``read_secret`` does."""
        if self.token is None and self.token_file is None:
            return None
        return read_secret("token", self.token, self.token_file)


def _ledger_file(data: dict[str, Any]) -> SecretStr:
    return SecretStr(f"sqlite:///{path_in_url(data['state_dir'] / 'ledger.sqlite3')}")


class Settings(Section):
    """Everything that ``kbsync.toml`` says. Its relative paths count from its directory; here all are absolute."""

    state_dir: AnyPath = Path("var/kbsync")
    """Ledger, artifacts and versions."""
    relations_dir: AnyPath = Path("relations")
    """One file per watched property."""
    recipes_dir: AnyPath = Path("recipes")
    """One file per recipe."""
    database_url: DatabaseUrl = Field(default_factory=_ledger_file)
    """The ledger. It is secret, because it may hold a password; print ``database`` instead."""
    source: SourceSettings
    model: ModelSettings
    probe: ProbeSettings = ProbeSettings()
    edit: EditSettings = EditSettings()
    tune: TuneSettings = TuneSettings()
    text: TextSettings = TextSettings()
    gate: GateSettings = Field(default_factory=GateSettings)
    evaluate: EvaluateSettings = EvaluateSettings()
    executor: ExecutorSettings = ExecutorSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    store: StoreSettings = Field(default_factory=StoreSettings)
    release: PublishingSettings = PublishingSettings()
    served: ServedSettings = Field(default_factory=ServedSettings)
    retention: RetentionSettings = RetentionSettings()
    lease: LeaseSettings = LeaseSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _servable(self) -> Settings:
        self.evaluate.require_server(self.release.engine)
        return self

    @property
    def database(self) -> str:
        """The database URL, as it may be printed."""
        return hide_password(self.database_url.get_secret_value())
