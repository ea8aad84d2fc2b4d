from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.text.corpus import read_texts, texts_hash
from tests.support.paths import DATA as REFERENCE

CORPORA = REFERENCE / "text"


def test_blank_lines_part_paragraphs(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbf\r\nOne,\r\nstill one.\r\n \r\n\t\r\n  Two.  \r\n\r\n")
    assert read_texts([file]) == ["One,\nstill one.", "Two."]


def test_without_blank_lines_each_line_is_a_paragraph(tmp_path: Path) -> None:
    file = tmp_path / "a.text"
    file.write_text("One.\nTwo.\n")
    assert read_texts([file]) == ["One.", "Two."]


def test_json_lines_and_gzip(tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl.gz"
    lines.write_bytes(gzip.compress('"One\\n\\nstill one"\n\n{"text": " Zwölf ", "id": 3}\n{"text": " "}\n'.encode()))
    plain = tmp_path / "b.txt.gz"
    plain.write_bytes(gzip.compress(b"Three.\n\nFour."))
    assert read_texts([lines, plain]) == ["One\n\nstill one", "Zwölf", "Three.", "Four."]
    assert read_texts([plain, lines]) == ["Three.", "Four.", "One\n\nstill one", "Zwölf"]


def test_a_directory_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name, text in (("b.txt", "B"), ("a/z.md", "AZ"), ("a/b.jsonl", '"AB"'), ("c.bin", "no"), ("a.gz", "no")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert read_texts([tmp_path]) == ["AB", "AZ", "B"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"one\ntwo\n\xff", r"a\.txt, line 3: not UTF-8"),
        ("a.jsonl", b'"one"\n{', r"a\.jsonl, line 2: not JSON"),
        ("a.jsonl", b'"one"\n\n{"body": "x"}', r"a\.jsonl, line 3: neither a string"),
        ("a.jsonl", b"[1]", r"a\.jsonl, line 1: neither a string"),
        ("a.txt.gz", b"plain", r"a\.txt\.gz can't be read"),
        ("a.txt.gz", gzip.compress(b"x" * 9999, mtime=0)[:-12], r"a\.txt\.gz can't be read"),
    ],
)
def test_bad_input_is_named_with_its_place(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_texts([tmp_path])


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or directory"):
        read_texts([tmp_path / "absent"])
    with pytest.raises(DataError, match="holds no text"):
        read_texts([tmp_path])


def test_the_hash_follows_content_and_order() -> None:
    assert texts_hash(["a", "b"]) == texts_hash(["a", "b"])
    assert len({texts_hash(t) for t in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""])}) == 4


@pytest.mark.slow
@pytest.mark.skipif(not CORPORA.is_dir(), reason="the shared corpora are not here")
def test_real_corpora_are_read_whole() -> None:
    paragraphs = read_texts([CORPORA])
    assert len(paragraphs) > 1000
    assert 1_500_000 < sum(len(p.split()) for p in paragraphs) < 1_900_000
