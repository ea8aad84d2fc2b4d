"""What kbsync calls itself."""

from __future__ import annotations

import re

import pytest

from kbsync.wikidata.agent import user_agent

POLICY = re.compile(r"kbsync/\S+ \([^()]+\) python-httpx2/\S+\Z")


@pytest.mark.parametrize(
    ("setting", "comment"),
    [
        ("ops@example.org", "ops@example.org"),
        ("kbsync (mailto:ops@example.org)", "mailto:ops@example.org"),
        ("kbsync/1.0 (https://example.org; ops@example.org)", "https://example.org; ops@example.org"),
        ("kbsync tests (https://localhost)", "tests; https://localhost"),
        ("acme-bot/2 (ops@example.org)", "acme-bot/2; ops@example.org"),
    ],
)
def test_the_header_has_the_form_of_the_policy(setting: str, comment: str) -> None:
    assert POLICY.match(user_agent(setting))
    assert f"({comment})" in user_agent(setting)
