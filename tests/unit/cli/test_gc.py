"""``kbsync gc``."""

from __future__ import annotations

from tests.support.site import Site


def test_what_is_kept_is_told_with_its_reasons(built: Site) -> None:
    view = built.good("gc", "--dry-run", "--json").json
    assert view["dry_run"] is True and view["removed"] == 0
    assert all(t["reasons"] for t in view["things"] if t["keep"])
    assert "nothing to remove" in built.good("gc").out
