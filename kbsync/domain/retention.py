"""What may be removed, decided by pure functions that give a reason for everything that they keep or remove."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kbsync.domain.version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How long weights and artifacts are kept."""

    keep_last: int
    """Number of newest versions whose weights are kept."""
    keep_newer: timedelta
    """The weights of versions made less than this ago are kept."""
    rollback_window: int
    """Number of the last versions of each alias whose weights are kept."""
    spare: timedelta
    """How long files that no kept version needs (target vectors, covariances, damaged files) are kept after
    they were written, since a fact may come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether something is kept, and every reason."""

    keep: bool
    reasons: tuple[str, ...]


def judge_versions(
    versions: Sequence[Version], positions: Mapping[str, Sequence[int]], policy: RetentionPolicy, now: datetime
) -> dict[int, Judgement]:
    """Judge the weights of every built version.

    Args:
        positions: For each alias the versions that it ever pointed to, oldest first (0: the base).

    Returns:
        Judgements by version number.
    """
    built = sorted((v for v in versions if v.version_hash), key=lambda v: -v.number)
    reasons: dict[int, list[str]] = {v.number: [] for v in built}
    predecessors = {v.number: v.predecessor for v in versions}
    for alias, moves in positions.items():
        for number, reason in _reachable(alias, moves, predecessors, policy.rollback_window):
            if number in reasons and reason not in reasons[number]:
                reasons[number].append(reason)
    for place, version in enumerate(built):
        if place < policy.keep_last:
            reasons[version.number].append(f"one of the newest {policy.keep_last}")
        if now - version.created_at < policy.keep_newer:
            reasons[version.number].append(f"made less than {_span(policy.keep_newer)} ago")
    nothing = (
        f"no alias, not within {policy.rollback_window} rollbacks, not one of the newest {policy.keep_last}, "
        f"made {_span(policy.keep_newer)} ago or before"
    )
    return {n: Judgement(keep=bool(why), reasons=tuple(why) or (nothing,)) for n, why in reasons.items()}


def _reachable(
    alias: str, moves: Sequence[int], predecessors: Mapping[int, int], window: int
) -> Iterable[tuple[int, str]]:
    """The version that the alias points to, and those that a rollback may go to: where it pointed before, and the chain
    of predecessors that repeated ``kbsync rollback`` follows."""
    if not moves:
        return
    current = moves[-1]
    yield current, f"{alias} points to it"
    before = list(dict.fromkeys(n for n in reversed(moves) if n != current))
    chain: list[int] = []
    number = current
    while len(chain) < window and (number := predecessors.get(number, 0)):
        chain.append(number)
    for number in (*before[:window], *chain):
        yield number, f"within {window} rollbacks of {alias}"


def judge_strays(
    builds: Mapping[str, str | None],
    building: Mapping[str, int],
    written: Mapping[str, datetime],
    policy: RetentionPolicy,
    now: datetime,
) -> dict[str, Judgement]:
    """Judge stored versions that no row of the ledger names. They wait as what is not needed any more does, since a
    person may have to find out why.

    Args:
        builds: For each version hash its build hash; None where the manifest can't be read.
        building: For each build hash the number of the version that is being built.
        written: When each stored version, by its hash, was written.
        policy: How long they are kept.

    Returns:
        Judgements by version hash.
    """
    judged = {}
    for version_hash, build in builds.items():
        if build is not None and build in building:
            judged[version_hash] = Judgement(keep=True, reasons=(f"version {building[build]} is being built",))
        else:
            judged[version_hash] = judge_age(written[version_hash], policy, now, "no row of the ledger names it")
    return judged


def judge_artifacts(
    written: Mapping[str, datetime],
    needed: Mapping[int, Iterable[str] | None],
    policy: RetentionPolicy,
    now: datetime,
) -> dict[str, Judgement]:
    """Judge every artifact.

    Args:
        written: When each artifact, by its name, was written.
        needed: The artifacts that each kept version was built with; None where that is not known, which keeps all.
        policy: How long artifacts are kept that nothing needs.

    Returns:
        Judgements by name.
    """
    by_name: dict[str, list[int]] = {name: [] for name in written}
    for number, names in sorted(needed.items()):
        for name in written if names is None else names:
            if name in by_name:
                by_name[name].append(number)
    judged = {}
    for name, numbers in by_name.items():
        shown = ", ".join(map(str, numbers))
        judged[name] = (
            Judgement(keep=True, reasons=(f"version{'s' if len(numbers) > 1 else ''} {shown} may need it",))
            if numbers
            else judge_age(written[name], policy, now, "no kept version needs it")
        )
    return judged


def judge_age(written: datetime, policy: RetentionPolicy, now: datetime, unneeded: str) -> Judgement:
    """Judge by its age something that nothing needs, for the reason ``unneeded``."""
    if now - written < policy.spare:
        return Judgement(keep=True, reasons=(unneeded, f"written less than {_span(policy.spare)} ago"))
    return Judgement(keep=False, reasons=(unneeded, f"written {_span(policy.spare)} ago or before"))


def _span(length: timedelta) -> str:
    return str(length).removesuffix(", 0:00:00")
