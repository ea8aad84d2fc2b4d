"""The sections of ``kbsync.toml``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kbsync.config import interval_of, load
from kbsync.domain.retention import RetentionPolicy
from kbsync.domain.suspicion import Suspicion
from kbsync.domain.verdict import VerdictKind
from tests.support.config_samples import MAIN, Writer, problems


def test_defaults_and_paths_count_from_the_files_directory(write: Writer) -> None:
    path = write()
    settings = load(path)
    assert settings.state_dir == path.parent / "var/kbsync"
    assert settings.relations_dir == path.parent / "relations"
    assert settings.database == f"sqlite:///{path.parent}/var/kbsync/ledger.sqlite3"
    assert settings.source.endpoint == "https://query.wikidata.org/sparql"
    assert (settings.source.batch, settings.source.timeout) == (200, timedelta(seconds=70))
    assert settings.edit.verdicts == (VerdictKind.STALE, VerdictKind.UNKNOWN)
    assert interval_of(settings.schedule.sync) == timedelta(hours=6)
    assert settings.text.corpus == ()
    assert settings.lease.ttl == timedelta(minutes=10)


def test_a_model_reference_that_is_a_path_counts_from_the_files_directory(write: Writer) -> None:
    path = write()
    here = path.parent
    expected = {
        "./tiny": f"{here}/tiny",
        "models/tiny.gguf": f"{here}/models/tiny.gguf",
        "/srv/tiny": "/srv/tiny",
        "~/tiny": str(Path("~/tiny").expanduser()),
        "owner/name@main": "owner/name@main",
        "package:tiny": "package:tiny",
    }
    assert {r: load(path, {"model": {"reference": r}}).model.reference for r in expected} == expected


def test_a_chat_is_had_where_there_is_a_template_and_a_system_prompt_is_one_text(write: Writer) -> None:
    path = write()
    assert (load(path).model.chat, load(path).model.system) == ("auto", "")
    chosen = load(path, {"model": {"chat": "always", "system": " Answer with a name.\n"}}).model
    assert (chosen.chat, chosen.system) == ("always", "Answer with a name.")
    (problem,) = problems(path, {"model": {"chat": "sometimes"}})
    assert "model.chat" in problem and "'auto', 'always' or 'never'" in problem
    (problem,) = problems(path, {"model": {"system": "You answer {}."}})
    assert "model.system: must not hold {}, which stands for the question" in problem


def test_a_page_that_others_can_reach_needs_a_token(write: Writer, tmp_path: Path) -> None:
    path = write()
    (problem,) = problems(path, {"web": {"host": "0.0.0.0"}})
    assert "web: 0.0.0.0 can be reached from outside: set token or token_file" in problem
    (problem,) = problems(path, {"web": {"token": "short"}})
    assert "shorter than 16" in problem and "short'" not in problem
    file = tmp_path / "token"
    file.write_text("a token of some length\n")
    web = load(path, {"web": {"host": "0.0.0.0", "token_file": str(file)}}).web
    assert (web.secret, web.loopback) == ("a token of some length", False)
    assert load(path, {"web": {"host": "::1"}}).web.secret is None


def test_an_empty_token_file_is_a_mistake_and_not_a_page_without_a_token(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    (problem,) = problems(write(), {"web": {"token_file": str(tmp_path / "token")}})
    assert "shorter than 16" in problem


def test_sections_become_the_domain_s_own_types(write: Writer) -> None:
    path = write(MAIN + "max_surprise = 2.5\n[retention]\nkeep_last = 3\n")
    settings = load(path)
    assert settings.edit.suspicion == Suspicion(per_subject=20, surprise=2.5)
    assert settings.retention.policy == RetentionPolicy(
        keep_last=3, keep_newer=timedelta(days=30), rollback_window=3, spare=timedelta(days=7)
    )


def test_another_wikibase_has_a_base_without_a_slash_and_may_lack_properties(write: Writer) -> None:
    base = "https://wikibase.example.org/"
    source = load(write(), {"source": {"concept_base": base, "start_time": "", "end_time": "P7"}}).source
    assert (source.concept_base, source.start_time, source.end_time) == (base[:-1], "", "P7")
    wrong = {"concept_base": "wikibase.example.org", "point_in_time": "Q7", "events": "ftp://example.org"}
    assert len(problems(write(), {"source": wrong})) == 3


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("https://www.wikidata.org", "http://www.wikidata.org"),
        ("http://wikidata.org/entity/", "http://www.wikidata.org"),
        ("https://wikibase.example.org/entity/", "https://wikibase.example.org"),
        ("https://example.org/wiki/base", "https://example.org/wiki/base"),
    ],
)
def test_a_concept_base_is_what_the_iris_begin_with(write: Writer, written: str, base: str) -> None:
    assert load(write(), {"source": {"concept_base": written}}).source.concept_base == base


def test_an_exchange_may_not_end_before_a_silence_does(write: Writer) -> None:
    (problem,) = problems(write(), {"source": {"timeout": "3m"}})
    assert "deadline is shorter than timeout" in problem
