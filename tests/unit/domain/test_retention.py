"""What gc keeps, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kbsync.domain.retention import RetentionPolicy, judge_artifacts, judge_strays, judge_versions
from kbsync.domain.version import Version, VersionState

NOW = datetime(2026, 6, 1, tzinfo=UTC)
POLICY = RetentionPolicy(keep_last=1, keep_newer=timedelta(days=7), rollback_window=2, spare=timedelta(days=3))


def version(number: int, *, days: int = 100, predecessor: int = 0, built: bool = True) -> Version:
    return Version(
        number=number,
        base_fingerprint="b",
        build_hash=f"build {number}",
        plan_hash="p",
        state=VersionState.PROMOTED if built else VersionState.BUILDING,
        version_hash=f"{number:064}" if built else None,
        predecessor=predecessor,
        created_at=NOW - timedelta(days=days),
    )


def chain(count: int) -> list[Version]:
    return [version(n, predecessor=n - 1) for n in range(1, count + 1)]


def kept(versions: list[Version], stood: list[int], policy: RetentionPolicy = POLICY) -> dict[int, tuple[str, ...]]:
    judged = judge_versions(versions, {"current": stood}, policy, NOW)
    return {n: j.reasons for n, j in judged.items() if j.keep}


def test_every_reason_to_keep_a_version() -> None:
    versions = [*chain(6), version(7, days=5, predecessor=6), version(8, built=False)]
    assert kept(versions, [1, 2, 3, 4, 5]) == {
        3: ("within 2 rollbacks of current",),
        4: ("within 2 rollbacks of current",),
        5: ("current points to it",),
        7: ("one of the newest 1", "made less than 7 days ago"),
    }
    judged = judge_versions(versions, {"current": [5]}, POLICY, NOW)
    assert judged[1].reasons == (
        "no alias, not within 2 rollbacks, not one of the newest 1, made 7 days ago or before",
    )
    assert 8 not in judged, "a version that is being built has nothing to remove"


def test_the_window_follows_both_where_the_alias_stood_and_where_a_rollback_goes() -> None:
    """Version 6 was built on 1 after a jump back: rollback goes to 1, and the alias stood at 5 before."""
    versions = [*chain(5), version(6, predecessor=1)]
    assert set(kept(versions, [1, 2, 3, 4, 5, 1, 6], replace(POLICY, rollback_window=1))) == {1, 6}
    assert set(kept(versions, [1, 2, 3, 4, 5, 1, 6], replace(POLICY, rollback_window=2))) == {1, 5, 6}


def test_at_the_base_the_versions_before_can_be_gone_back_to() -> None:
    assert set(kept(chain(5), [1, 2, 3, 0])) == {2, 3, 5}


@given(
    count=st.integers(1, 12),
    stood=st.lists(st.integers(0, 12), max_size=8),
    last=st.integers(1, 4),
    window=st.integers(1, 4),
)
def test_current_the_newest_and_the_rollback_targets_are_always_kept(
    count: int, stood: list[int], last: int, window: int
) -> None:
    versions, stood = chain(count), [n for n in stood if n <= count]
    safe = kept(versions, stood, replace(POLICY, keep_last=last, rollback_window=window))
    assert {v.number for v in versions[-last:]} <= set(safe)
    if stood and stood[-1]:
        assert {n for n in range(stood[-1] - window, stood[-1] + 1) if n > 0} <= set(safe)
    assert all(reasons for reasons in safe.values())


def test_strays_are_kept_while_their_version_is_being_built_and_for_a_while() -> None:
    old = NOW - timedelta(days=10)
    written = {"a": old, "b": old, "c": old, "d": NOW - timedelta(days=1)}
    builds = {"a": "build 3", "b": "build 9", "c": None, "d": "build 10"}
    judged = judge_strays(builds, {"build 3": 3}, written, POLICY, NOW)
    assert {name: j.keep for name, j in judged.items()} == {"a": True, "b": False, "c": False, "d": True}
    assert judged["a"].reasons == ("version 3 is being built",)
    assert judged["b"].reasons == ("no row of the ledger names it", "written 3 days ago or before")
    assert judged["d"].reasons == ("no row of the ledger names it", "written less than 3 days ago")


def test_artifacts_stay_while_a_version_needs_them_or_they_are_young() -> None:
    old, young = NOW - timedelta(days=10), NOW - timedelta(days=1)
    written = {"targets/a": old, "targets/b": old, "targets/c": young, "covariance/d": old}
    judged = judge_artifacts(written, {2: ["targets/a", "covariance/d", "gone"], 3: ["covariance/d"]}, POLICY, NOW)
    assert {name: (j.keep, j.reasons) for name, j in judged.items()} == {
        "targets/a": (True, ("version 2 may need it",)),
        "targets/b": (False, ("no kept version needs it", "written 3 days ago or before")),
        "targets/c": (True, ("no kept version needs it", "written less than 3 days ago")),
        "covariance/d": (True, ("versions 2, 3 may need it",)),
    }


def test_a_version_of_which_nobody_knows_what_it_needs_keeps_everything() -> None:
    judged = judge_artifacts({"targets/a": NOW - timedelta(days=99)}, {2: None}, POLICY, NOW)
    assert judged["targets/a"].keep
