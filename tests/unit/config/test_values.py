"""Kinds of value: durations, database URLs, endpoints, secrets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from kbsync.config import load
from kbsync.config.values import duration, hide_password, read_secret, unique
from tests.support.config_samples import MAIN, Writer, problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("72h", timedelta(hours=72)),
        ("3d", timedelta(days=3)),
        ("1h30m", timedelta(minutes=90)),
        ("0s", timedelta(0)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "1.5h", "5 minutes", "30m1h", 10, None, "9" * 40 + "d"])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(text)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_durations_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    assert duration(f"{days}d{hours}h{minutes}m{seconds}s") == timedelta(
        days=days, hours=hours, minutes=minutes, seconds=seconds
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me@db/kbsync", "postgresql://***@db/kbsync"),
        ("postgresql:///kbsync?user=me&password=geheim&x=1", "postgresql:///kbsync?***"),
        ("sqlite:////var/a:b@c.sqlite3", "sqlite:////var/a:b@c.sqlite3"),
    ],
)
def test_hiding_passwords(url: str, shown: str) -> None:
    assert hide_password(url) == shown


def test_a_password_is_never_printed(write: Writer) -> None:
    path = write()
    url = "postgresql+psycopg://me:geheim:%40x@db/kbsync"
    settings = load(path, {"database_url": url})
    assert settings.database_url.get_secret_value() == url
    assert settings.database == "postgresql+psycopg://***@db/kbsync"
    assert "geheim" not in repr(settings) + str(settings) + settings.model_dump_json()
    (problem,) = problems(path, {"database_url": "mysql://me:geheim@db/kbsync"})
    assert "geheim" not in problem
    assert "sqlite:///" in problem
    (problem,) = problems(path, {"database_url": "postgresql+psycopg://me:ge@heim@db/kbsync"})
    assert "heim" not in problem and "%40" in problem


def test_a_relative_sqlite_file_counts_from_the_files_directory(write: Writer) -> None:
    path = write('database_url = "sqlite:///my.sqlite3"\n' + MAIN)
    assert load(path).database == f"sqlite:///{path.parent}/my.sqlite3"


def test_an_endpoint_is_an_address_or_a_local_store(write: Writer) -> None:
    path = write()
    for address in ("http://127.0.0.1:7878/query", "https://query.wikidata.org/sparql"):
        assert load(path, {"source": {"endpoint": address}}).source.endpoint == address
    local = load(path, {"source": {"endpoint": "oxigraph:world"}}).source.endpoint
    assert local == f"oxigraph:{path.parent}/world"
    for wrong in ("query.wikidata.org", "https://", "oxigraph:", "http://a b"):
        assert problems(path, {"source": {"endpoint": wrong}}) == [
            "command line: source.endpoint: is neither a URL that begins with http:// or https://, "
            'nor "oxigraph:DIRECTORY"'
        ]


def test_a_secret_comes_from_its_key_or_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(" of some length\n")
    assert read_secret("token", None, None) == ""
    assert read_secret("token", SecretStr("inline"), None) == "inline"
    assert read_secret("token", None, file) == "of some length"
    with pytest.raises(ValueError, match="token and token_file are both set"):
        read_secret("token", SecretStr("inline"), file)
    with pytest.raises(ValueError, match="can't be read: Not a directory"):
        read_secret("token", None, file / "token")


def test_doubles_are_named() -> None:
    assert unique(("a", "b")) == ("a", "b")
    with pytest.raises(ValueError, match="listed more than once: a, b"):
        unique(("b", "a", "b", "a", "c"))


def test_paths_must_be_text(write: Writer) -> None:
    (problem,) = problems(write('state_dir = "caf\\u0000e"\n' + MAIN))
    assert "holds NUL (U+0000); a path must be text in UTF-8" in problem


@pytest.mark.parametrize(
    ("path", "says"),
    [("~nobody-here/x", "a user whom this machine does not know"), ("x" * 5_000, "can't be looked at: File name too")],
)
def test_a_path_that_no_machine_has_is_a_mistake(write: Writer, path: str, says: str) -> None:
    (found,) = problems(write(MAIN + f'[text]\nheld_out = ["{path}"]\n'))
    assert says in found
