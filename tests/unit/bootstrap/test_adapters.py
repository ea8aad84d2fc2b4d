"""Which adapters a site's settings name."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from kbsync.bootstrap.adapters import SystemClock, artifact_storage, release_notifiers, server, statement_source
from kbsync.config.publishing import EngineSettings, PublishingSettings
from kbsync.config.served import ServedSettings
from kbsync.config.settings import SourceSettings, StoreSettings
from kbsync.domain.errors import ConfigError, SourceDown
from kbsync.domain.statement import ItemId
from kbsync.notifiers.command import CommandNotifier
from kbsync.notifiers.engine import SglangEngine, VllmEngine
from kbsync.notifiers.llama import LlamaEngine
from kbsync.notifiers.webhook import WebhookNotifier
from kbsync.ports import UNWATCHED
from kbsync.wikidata.local import OxigraphServer
from kbsync.wikidata.streamed import StreamedSource

AGENT = "kbsync-tests/1 (tests@example.org)"
ITEM = """
<http://www.wikidata.org/entity/Q1> <http://schema.org/version> 7 ;
    <http://schema.org/dateModified> "2026-01-01T00:00:00Z"^^<http://www.w3.org/2001/XMLSchema#dateTime> .
"""


def test_a_local_store_is_served_until_the_application_closes(tmp_path: Path) -> None:
    with OxigraphServer(tmp_path / "store") as server:
        server.load(ITEM)
    settings = SourceSettings(endpoint=f"oxigraph:{tmp_path / 'store'}", user_agent=AGENT, attempts=1)
    with ExitStack() as closing:
        source = statement_source(settings, closing)
        assert [head.revision for head in source.heads([ItemId("Q1")])] == [7]
    with pytest.raises(SourceDown):
        list(source.heads([ItemId("Q1")]))


@pytest.mark.parametrize(("events", "streamed"), [("", False), ("http://127.0.0.1:9/stream", True)])
def test_an_event_stream_stands_beside_the_endpoint_where_one_is_configured(events: str, streamed: bool) -> None:
    settings = SourceSettings(endpoint="http://127.0.0.1:9/sparql", user_agent=AGENT, events=events)
    with ExitStack() as closing:
        assert isinstance(statement_source(settings, closing), StreamedSource) is streamed


def test_the_notifiers_are_those_that_are_configured(tmp_path: Path) -> None:
    command, address, secret = ("true",), "http://127.0.0.1:9/hook", SecretStr("a secret of some length")
    for settings, kinds in (
        (PublishingSettings(), []),
        (PublishingSettings(command=command), [CommandNotifier]),
        (PublishingSettings(webhook=address, secret=secret), [WebhookNotifier]),
        (PublishingSettings(command=command, webhook=address, secret=secret), [CommandNotifier, WebhookNotifier]),
        (PublishingSettings(publish="lora", engine=engine("vllm")), [VllmEngine]),
        (PublishingSettings(publish="lora", command=command, engine=engine("sglang")), [CommandNotifier, SglangEngine]),
        (PublishingSettings(publish="gguf", engine=engine("llama.cpp")), [LlamaEngine]),
    ):
        made = release_notifiers(settings, tmp_path, SystemClock(), 8, lambda *_: ())
        assert [type(notifier) for notifier in made] == kinds


def engine(kind: Literal["vllm", "sglang", "llama.cpp"]) -> EngineSettings:
    return EngineSettings(kind=kind, url="http://127.0.0.1:9", command=("llama-server", "--port", "{port}"))


def test_a_secret_whose_file_everybody_may_read_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a secret of some length", encoding="utf-8")
    file.chmod(0o644)
    vllm = EngineSettings(kind="vllm", url="http://127.0.0.1:9", key_file=file)
    for settings, setting in (
        (PublishingSettings(webhook="http://127.0.0.1:9/hook", secret_file=file), "release.secret_file"),
        (PublishingSettings(heads_file=tmp_path / "heads", secret_file=file), "release.secret_file"),
        (PublishingSettings(publish="lora", engine=vllm), "release.engine.key_file"),
    ):
        with pytest.raises(ConfigError, match=f"{setting}: .*mode 0644"):
            release_notifiers(settings, tmp_path, SystemClock(), 8, lambda *_: ())
    with pytest.raises(ConfigError, match=r"served\.key_file: .*mode 0644"):
        server(ServedSettings(url="http://127.0.0.1:9", key_file=file), 8, UNWATCHED)


def test_files_go_to_the_state_directory_unless_a_url_is_set(tmp_path: Path) -> None:
    state, share = tmp_path / "state", tmp_path / "share"
    artifact_storage(StoreSettings(), state).below("artifacts").write("one", b"here")
    artifact_storage(StoreSettings(url=share.as_uri()), state).below("artifacts").write("two", b"there")
    assert (state / "artifacts" / "one").read_bytes() == b"here"
    assert (share / "artifacts" / "two").read_bytes() == b"there"
    assert not (state / "artifacts" / "two").exists()
