"""The settings of ``kbsync.toml``: one class a section, frozen, unknown keys refused."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, model_validator

from kbsync.config.gate import GateSettings
from kbsync.config.publishing import PublishingSettings
from kbsync.config.schedule import ScheduleSettings
from kbsync.config.section import Section
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
)
from kbsync.config.values import unique as no_doubles
from kbsync.domain.retention import RetentionPolicy
from kbsync.domain.suspicion import Suspicion
from kbsync.domain.verdict import VerdictKind


def _contact(agent: str) -> str:
    if not re.search(r"@|https?://", agent):
        raise ValueError('must hold a contact, an e-mail address or a URL: "kbsync (mailto:name@host)"')
    return agent


def _without_slash(base: str) -> str:
    return base.rstrip("/")


_PROPERTY = r"^(P[1-9][0-9]{0,11})?$"


class SourceSettings(Section):
    """The SPARQL endpoint: an address, or ``oxigraph:DIRECTORY`` for a local store that kbsync serves itself.

    ``events``: the address of an event stream that the daemon listens to (none: changes are found by polling alone).
    ``concept_base``, the three time properties and ``events_wiki`` are another Wikibase's, where it is not Wikidata; a
    property that it does not have is left empty.
    ``timeout`` bounds each silence on the line, ``deadline`` one exchange from the first byte to the last, and
    ``max_wait`` the longest Retry-After that is waited out on the spot. ``attempts`` counts the first one too.
    """

    endpoint: Endpoint = "https://query.wikidata.org/sparql"
    events: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    user_agent: Annotated[str, AfterValidator(_contact)]
    concept_base: Annotated[
        str, Field(pattern=r'^https?://[^\s/<>"]+(/[^\s<>"]*)?$'), AfterValidator(_without_slash)
    ] = "http://www.wikidata.org"
    start_time: Annotated[str, Field(pattern=_PROPERTY)] = "P580"
    end_time: Annotated[str, Field(pattern=_PROPERTY)] = "P582"
    point_in_time: Annotated[str, Field(pattern=_PROPERTY)] = "P585"
    events_wiki: Text = "wikidatawiki"
    language: Language = "en"
    batch: Annotated[int, Field(ge=1, le=1000)] = 200
    timeout: Duration = timedelta(seconds=70)
    deadline: Duration = timedelta(seconds=120)
    max_wait: AnyDuration = timedelta(minutes=5)
    attempts: Annotated[int, Field(ge=1, le=20)] = 5

    @model_validator(mode="after")
    def _order(self) -> SourceSettings:
        if self.deadline < self.timeout:
            raise ValueError("deadline is shorter than timeout, so no request could use its time")
        return self


def _reference(text: str, info: ValidationInfo) -> str:
    is_path = text.startswith((".", "~", "/")) or text.endswith(".gguf")
    return str(base_directory(info) / Path(text).expanduser()) if is_path else text


class ModelSettings(Section):
    """The base model. ``base_answer_tokens``: length of a probed answer in tokens.

    ``reference`` is what ``kbsync.model.load`` knows; a path to a directory must begin with ``.``, ``~`` or ``/``.
    """

    reference: Annotated[Text, AfterValidator(_reference)]
    dtype: Dtype = "float32"
    device: Text = "auto"
    base_answer_tokens: Annotated[int, Field(ge=1, le=100)] = 10


def _editable(kind: VerdictKind) -> VerdictKind:
    if kind not in (VerdictKind.STALE, VerdictKind.UNKNOWN):
        raise ValueError(f"{kind.value} facts are not edited; choose of 'stale' and 'unknown'")
    return kind


Editable = Annotated[VerdictKind, AfterValidator(_editable)]


class EditSettings(Section):
    """What is edited, and how. ``recipe``: a name in ``recipes_dir``, or a path to a recipe file."""

    recipe: Text = "gemma-3-270m"
    verdicts: Annotated[tuple[Editable, ...], Field(min_length=1), AfterValidator(no_doubles)] = (
        VerdictKind.STALE,
        VerdictKind.UNKNOWN,
    )
    max_facts: Annotated[int, Field(ge=1)] = 1000
    max_new_per_subject: Annotated[int, Field(ge=1)] = 20
    max_surprise: Annotated[float, Field(gt=0)] = 4.0

    @property
    def suspicion(self) -> Suspicion:
        """What a plan leaves to a person."""
        return Suspicion(per_subject=self.max_new_per_subject, surprise=self.max_surprise)


class TextSettings(Section):
    """Files or directories of text. ``corpus`` and ``datasets`` (of the hub, of each the first ``dataset_characters``)
    feed the key covariance (both empty: the model samples its own text), ``held_out`` the perplexity (empty: the text
    that is shipped), of which the first so many characters are read: an evaluation reads them twice."""

    corpus: tuple[ExistingPath, ...] = ()
    datasets: tuple[Text, ...] = ()
    dataset_characters: Annotated[int, Field(ge=1000)] = 10_000_000
    held_out: tuple[ExistingPath, ...] = ()
    held_out_characters: Annotated[int, Field(ge=1000)] = 20_000


class StoreSettings(Section):
    """Where versions, target vectors and covariances are stored: ``state_dir`` (``url`` empty), or any place that fsspec
    reaches (``s3://bucket/kbsync``, ``file:///mnt/share``). ``options`` are for its driver; secrets are better left to the
    driver's own environment variables."""

    url: Annotated[str, Field(pattern=r"^([a-z][a-z0-9+.-]*:\S+)?$")] = ""
    options: dict[str, Any] = Field(default_factory=dict, repr=False)


class RetentionSettings(Section):
    """What ``gc`` keeps (``domain.retention.RetentionPolicy``)."""

    keep_last: Annotated[int, Field(ge=1)] = 10
    keep_newer: AnyDuration = timedelta(days=30)
    rollback_window: Annotated[int, Field(ge=1)] = 3
    spare: AnyDuration = timedelta(days=7)

    @property
    def policy(self) -> RetentionPolicy:
        """The same as the domain's type."""
        return RetentionPolicy(**self.model_dump())


class LeaseSettings(Section):
    """How long the single writer may be silent before another process may take over."""

    ttl: Duration = timedelta(minutes=10)


class LogSettings(Section):
    format: Literal["json", "console"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class WebSettings(Section):
    """The status page. ``enabled``: the daemon serves it, too. ``token`` (or the file that holds it) is demanded for
    every action, and for every look where ``host`` is not loopback."""

    enabled: bool = False
    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8640
    token: SecretStr | None = None
    token_file: ExistingPath | None = None

    @model_validator(mode="after")
    def _guarded(self) -> WebSettings:
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file are both set; keep one")
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
        """The token; None where there is none. Raises ``ValueError`` for a file that can't be read."""
        if self.token_file is None:
            return self.token.get_secret_value() if self.token else None
        try:
            return self.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ValueError(f"{self.token_file} can't be read: {error.strerror}") from None


def _ledger_file(data: dict[str, Any]) -> SecretStr:
    return SecretStr(f"sqlite:///{data['state_dir'] / 'ledger.sqlite3'}")


class Settings(Section):
    """Everything that ``kbsync.toml`` says. All paths are absolute, counted from the directory of that file.

    ``database_url`` is secret, because it may hold a password; print ``database`` instead.
    """

    state_dir: AnyPath = Path("var/kbsync")
    relations_dir: AnyPath = Path("relations")
    recipes_dir: AnyPath = Path("recipes")
    database_url: DatabaseUrl = Field(default_factory=_ledger_file)
    source: SourceSettings
    model: ModelSettings
    edit: EditSettings = EditSettings()
    text: TextSettings = TextSettings()
    gate: GateSettings = Field(default_factory=GateSettings)
    schedule: ScheduleSettings = ScheduleSettings()
    store: StoreSettings = Field(default_factory=StoreSettings)
    release: PublishingSettings = PublishingSettings()
    retention: RetentionSettings = RetentionSettings()
    lease: LeaseSettings = LeaseSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

    @property
    def database(self) -> str:
        """The database URL without its password."""
        return hide_password(self.database_url.get_secret_value())
