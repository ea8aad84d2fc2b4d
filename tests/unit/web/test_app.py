"""The application as a whole: every route answers, and what is not there is said."""

from __future__ import annotations

import re

import pytest

from kbsync.web.backend import Backend
from tests.support.web_world import PATHS, client


@pytest.mark.slow
@pytest.mark.parametrize("path", (*PATHS, "/healthz", "/login", "/static/style.css", "/static/live.js"))
def test_every_page_answers_and_lets_nothing_from_elsewhere_in(backend: Backend, path: str) -> None:
    answer = client(backend).get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|javascript:", answer.text)
    assert not re.search(r'(?:src|action)="(?!/)', answer.text)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/versions/9", 404),
        ("/facts/Q999/P6", 404),
        ("/facts/Q183/P999", 404),
        ("/facts/nonsense/P6", 400),
        ("/facts?only=everything", 404),
        ("/nowhere", 404),
        ("/static/../app.py", 404),
        ("/static/%2e%2e/app.py", 404),
    ],
)
def test_what_is_not_there_is_said(backend: Backend, path: str, code: int) -> None:
    assert client(backend).get(path).status_code == code
