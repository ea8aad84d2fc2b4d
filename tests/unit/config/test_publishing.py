"""``[release]``: what is published, and with which secret notifiers are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.config import load
from tests.support.config_samples import MAIN, Writer, problems


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('webhook = "https://example.org/hook"', "a webhook is signed: set secret_file"),
        ('webhook = "https://example.org/hook"\nsecret = "short"', "at least 16 characters"),
        ('webhook = "ftp://example.org/hook"', "release.webhook"),
        ('secret = "whsec_no base64 at all"', "no base64"),
        ('secret = "sixteen characters"\nsecret_file = "kbsync.toml"', "secret and secret_file are both set; keep one"),
        ("rank = 8", 'rank goes with publish = "lora"'),
        ('publish = "onnx"', "release.publish"),
        ('publish = "gguf"\nrank = 8', "rank goes with"),
        ('publish = "gguf"\ntype = "q4_k"', "release.type"),
        ('publish = "gguf"\ngguf = "missing.gguf"', "release.gguf"),
        ('engine = { kind = "vllm", url = "http://h" }', "needs publish = lora"),
        ('publish = "lora"\nengine = { kind = "vllm" }', "needs a url"),
        ('publish = "gguf"\nengine = { kind = "llama.cpp", command = ["llama-server"] }', "a command with {port}"),
        ('publish = "lora"\nengine = { kind = "ollama", url = "http://h" }', "release.engine.kind"),
    ],
)
def test_releases_are_told_of_only_with_a_signature(write: Writer, lines: str, says: str) -> None:
    (problem,) = problems(write(MAIN + f"\n[release]\n{lines}\n"))
    assert says in problem


def test_the_secret_of_a_webhook_comes_from_a_file_too_and_is_not_printed(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sixteen characters\n")
    hook = f'[release]\nwebhook = "https://example.org/hook"\nsecret_file = "{tmp_path / "secret"}"\n'
    assert load(write(MAIN + "\n" + hook)).release.signing == "sixteen characters"
    inline = load(write(MAIN + '\n[release]\nsecret = "sixteen characters"\n'))
    assert "sixteen" not in repr(inline)
