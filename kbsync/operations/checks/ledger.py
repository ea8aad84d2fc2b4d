"""Checks of the ledger: its schema, its times against this machine's clock, and its leases."""

from __future__ import annotations

from datetime import timedelta

from kbsync.bootstrap import App
from kbsync.domain.errors import NotFound, StoreError
from kbsync.operations.checks.doubt import Doubt, rounded
from kbsync.stages.session import PULLER, WRITER
from kbsync.system.process_identity import is_gone

SKEW = timedelta(minutes=2)
"""Difference between two clocks above which the check warns."""
_VERSIONS = 20
"""Number of the newest versions whose files are looked for."""
_EVENTS = 1000
"""Number of the newest audit events whose times are looked at."""


def database(app: App) -> str:
    """Opening the ledger checks its schema; and whoever built its versions has their files."""
    with app.ledger.read() as tx:
        versions = tx.versions()
    newest = [version for version in versions if version.version_hash][-_VERSIONS:]
    foreign = [version.number for version in newest if not _stored(app, version.version_hash or "")]
    if foreign:
        raise Doubt(
            f"{app.settings.database} has {len(foreign)} versions that this site never stored (the newest is "
            f"{max(foreign)}): another site works with this ledger, or this one lost its files",
            "Give each site a database of its own, or in PostgreSQL a schema (?schema=NAME in database_url): sites "
            "that share a ledger overwrite each other's current version. `kbsync verify` names what is lost.",
        )
    return f"{app.settings.database} has the right schema; newest version: {len(versions) or 'none'}"


def _stored(app: App, version_hash: str) -> bool:
    """Whether this site has a version's files, or at least the manifest of one that was removed."""
    try:
        app.store.manifest(version_hash)
    except NotFound:
        return False
    except StoreError:  # damaged, which `kbsync verify` names
        return True
    return True


def clock(app: App) -> str:
    """Nothing in the ledger can be later than now; the source's time has a check of its own."""
    now = app.clock.now()
    with app.ledger.read() as tx:
        newest = tx.newest_event()
        events = tx.audit(after=max(0, newest.seq - _EVENTS)) if newest else []
    ahead = max((event.at for event in events), default=now) - now
    if ahead > SKEW:
        raise Doubt(
            f"the ledger's newest event is {rounded(ahead)} ahead of this machine's clock, which says "
            f"{now:%Y-%m-%d %H:%M}",
            "Set this machine's clock (NTP): trust times and leases are counted by it.",
        )
    return f"{now:%Y-%m-%d %H:%M} UTC, not behind what the ledger holds"


def leases(app: App) -> str:
    """Whether anybody who is alive holds a lease."""
    now = app.clock.now()
    with app.ledger.read() as tx:
        held = [lease for name in (WRITER, PULLER) if (lease := tx.held_lease(name)) is not None]
    for lease in held:
        if lease.expires > now and not is_gone(lease.process):
            raise Doubt(str(lease), "Nothing to do if that process is alive; after its death the lease runs out.")
    return f"free: {WRITER}, {PULLER}"
