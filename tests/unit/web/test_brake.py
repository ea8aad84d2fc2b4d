"""How often wrong tokens are looked at."""

from __future__ import annotations

import pytest

from kbsync.web.brake import FREE, Brake, network_of

pytestmark = pytest.mark.hardening


def test_a_few_wrong_tokens_are_free_and_then_it_is_one_a_second() -> None:
    now = 100.0
    brake = Brake(lambda: now)
    looked_at = 0
    for _ in range(1000):
        now += 0.01
        if not brake.wait("a"):
            brake.wrong("a")
            looked_at += 1
    assert FREE + 9 <= looked_at <= FREE + 11, "ten seconds have passed"
    assert 0 < brake.wait("a") <= 1 and brake.wait("b") == 0, "others are not braked"
    now += FREE + 2
    assert brake.wait("a") == 0


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.web.brake.MOST_NETWORKS", 3)
    brake = Brake(lambda: 0.0)
    for name in "abcd":
        brake.wrong(name)
    assert list(brake._clear_at) == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("127.0.0.1", "this machine"),
        ("127.9.9.9", "this machine"),
        ("::1", "this machine"),
        ("::ffff:127.0.0.1", "this machine"),
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "unknown"),
        (None, "unknown"),
    ],
)
def test_addresses_that_one_person_can_have_many_of_are_one(host: str | None, network: str) -> None:
    assert network_of(host) == network
