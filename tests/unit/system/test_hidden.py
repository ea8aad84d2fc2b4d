"""URLs that may be printed, and words that must not be told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbsync.system import hidden as module
from kbsync.system.hidden import hidden, hide, secrets_in_environment, secrets_in_url, shown_url

SECRET = "hunter2secret"
pytestmark = pytest.mark.hardening


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_words", set())
    yield


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://query.wikidata.org/sparql", "https://query.wikidata.org/sparql"),
        ("https://user:x@host:80/path", "https://***@host:80/path"),
        ("https://token@host/path?key=x#part", "https://***@host/path?***"),
        ("postgresql+psycopg://kbsync@tenant:x@server/db", "postgresql+psycopg://***@server/db"),
        ("postgresql://kbsync@h/db?sslmode=verify-full&sslpassword=x", "postgresql://***@h/db?***"),
        ("postgresql://u:pa@x@h/db", "postgresql://***@h/db"),
        ("postgresql://u:pa/x@h/db", "postgresql://***"),
        ("postgresql://u:pa?x@h/db", "postgresql://***"),
        ("postgresql://u:pa#x@h/db", "postgresql://***"),
        ("sqlite:////var/lib/kbsync/ledger.sqlite3", "sqlite:////var/lib/kbsync/ledger.sqlite3"),
        ("oxigraph:/srv/world", "oxigraph:/srv/world"),
        ("user:x@host", "***"),
        ("not a scheme://u:x@host", "***"),
        ("memory:///user:x@y", "memory://***"),
    ],
)
def test_a_shown_url_has_neither_user_nor_parameters(url: str, shown: str) -> None:
    assert shown_url(url) == shown


TEXT = st.text(st.sampled_from("ab:@/?#%&= "), max_size=8)


@given(before=TEXT, after=TEXT, user=TEXT)
def test_no_password_is_shown_however_it_is_written(before: str, after: str, user: str) -> None:
    assert SECRET not in shown_url(f"postgresql://{user}:{before}{SECRET}{after}@host/db")
    assert SECRET not in shown_url(f"https://host/db?{user}={before}{SECRET}{after}")


@pytest.mark.parametrize("url", [f"https://u:{SECRET}@h", f"https://{SECRET}@h", f"https://h?api_key={SECRET}"])
def test_what_a_url_holds_is_known_and_masked_in_messages(url: str) -> None:
    hide(secrets_in_url(url))
    assert hidden(f"can't reach {url}: {SECRET!r} is wrong").count(SECRET) == 0


def test_a_password_is_masked_however_it_is_quoted() -> None:
    hide(['pa ss"wörd%40'])
    said = 'pa ss"wörd%40, pa%20ss%22w%C3%B6rd%2540, pa ss\\"w\\u00f6rd%40, pa ss"wörd@'
    assert hidden(said) == "***, ***, ***, ***"


def test_short_words_would_hide_too_much() -> None:
    hide(["cat", ""])
    assert hidden("concatenate") == "concatenate"
    assert list(secrets_in_url("postgresql://kbsync@h/db?sslmode=require")) == []


@pytest.mark.hardening
def test_secrets_of_the_environment_are_known() -> None:
    variables = {
        "HTTPS_PROXY": f"http://me:{SECRET}1@proxy:3128",
        "no_proxy": "localhost,127.0.0.1",
        "HF_TOKEN": f"{SECRET}2",
        "AWS_SECRET_ACCESS_KEY": f"{SECRET}3",
        "PGPASSWORD": f"{SECRET}4",
        "SSH_AUTH_SOCK": "/tmp/agent",
        "PATH": "/usr/bin",
    }
    found = set(secrets_in_environment(variables))
    assert found == {f"me:{SECRET}1", *(f"{SECRET}{n}" for n in range(1, 5))}
