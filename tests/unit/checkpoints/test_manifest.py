"""The manifest as a file: every byte counts, and the first format is still read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kbsync.checkpoints import manifest as manifest_file
from kbsync.checkpoints.factors import hashes
from kbsync.domain.version import EditReport
from kbsync.testing.samples import make_manifest
from tests.support.delta_samples import make_delta


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is not of format 2"),
        (b'{"format":3}', "is not of format 2"),
        (b'{"format":[1]}', "is not of format 2"),
        (b'{"format":1}', "is not a manifest"),
        (b'{"format":2}', "is not a manifest"),
        (b'{"format":1,"manifest":{"base_fingerprint":3}}', "is not a manifest: base_fingerprint"),
    ],
)
def test_what_is_no_manifest(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        manifest_file.decode(data)


def test_a_manifest_of_the_first_format_is_still_read() -> None:
    manifest = replace(make_manifest(hashes(make_delta())), artifacts={})
    old = manifest_file.encode(manifest, "f" * 64, 1)
    assert "artifacts" not in json.loads(old)["manifest"]
    assert manifest_file.decode(old) == (manifest, "f" * 64)
    with pytest.raises(ValueError, match="own checksum"):
        manifest_file.decode(old.replace(b'"format":1', b'"format":true'))


def test_a_manifest_comes_back_with_the_checksum_of_the_factors() -> None:
    manifest = make_manifest(hashes(make_delta()))
    data = manifest_file.encode(manifest, "f" * 64)
    assert manifest_file.decode(data) == (manifest, "f" * 64)
    assert json.loads(data)["version_hash"] == manifest.version_hash


def test_a_change_of_any_byte_shows() -> None:
    data = manifest_file.encode(make_manifest({"weight": "1" * 64}), "f" * 64)
    for position in range(0, len(data), 11):
        wrong = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        try:
            decoded, checksum = manifest_file.decode(wrong)
        except ValueError:
            continue
        assert checksum != "f" * 64, f"byte {position} of {decoded} was changed and nobody noticed"


def test_a_number_that_is_not_finite_is_refused() -> None:
    manifest = replace(make_manifest({}), report=EditReport(layers=(), seconds=float("nan")))
    with pytest.raises(ValueError, match="JSON"):
        manifest_file.encode(manifest, "f" * 64)
