"""``kbsync verify``."""

from __future__ import annotations

from tests.support.site import Site


def test_a_damaged_file_is_named_and_ends_with_4(built: Site) -> None:
    assert "whole: 1 version" in built.good("verify").out
    (factors,) = built.directory(1).glob("*.safetensors")
    data = bytearray(factors.read_bytes())
    data[-1] ^= 1
    factors.chmod(0o644)
    factors.write_bytes(bytes(data))
    damaged = built("verify")
    assert damaged.code == 4
    assert factors.name in damaged.out and "kbsync rebuild N --repair" in damaged.out
