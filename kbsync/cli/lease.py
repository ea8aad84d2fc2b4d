"""``kbsync lease break``"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb

if TYPE_CHECKING:
    from kbsync.bootstrap import App
    from kbsync.ports import HeldLease


class LeaseName(StrEnum):
    """The leases that a process may hold."""

    WRITER = "writer"
    PULLER = "puller"
    NOTIFIER = "notifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLease:
    """The lease that was broken. ``holder`` is who held it, and ``expires`` when it would have run out; both are null
    where nobody held it."""

    lease: str
    holder: str | None
    expires: datetime | None


@verb(
    "lease break",
    examples=["kbsync lease break writer --reason 'that machine is gone'"],
    exits=[74, 75],
    prints="kbsync.cli.lease:BrokenLease",
    changes="the ledger",
)
def break_lease(
    context: typer.Context,
    lease: Annotated[LeaseName, typer.Argument(help="Which one; `kbsync doctor` names who holds it.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; the audit trail keeps it.")],
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Take a lease from a process that will never give it back, such as one on a machine that is gone.

    A lease runs out by itself a few minutes after its holder's last sign of life, so this is rarely needed. If the
    holder is alive after all, it is refused at its next step and loses its work since the last one.
    """
    from kbsync.cli.context import application
    from kbsync.cli.output import emit, say

    # A dry run looks at the ledger itself: in a private copy of it nobody holds a lease.
    with application(context) as app:
        if dry_run:
            with app.ledger.read() as tx:
                held = tx.held_lease(lease.value)
        else:
            held = _break(app, lease.value, reason)
    broken = BrokenLease(
        lease=lease.value, holder=held.holder if held else None, expires=held.expires if held else None
    )
    if json:
        return emit(broken)
    if held is None:
        return say(f"nobody holds the lease {lease.value!r}")
    return say(f"{'would take' if dry_run else 'took'} the lease {lease.value!r} from {held.holder}")


def _break(app: App, name: str, reason: str) -> HeldLease | None:
    with app.ledger.write() as tx:
        held = tx.break_lease(name)
        if held is not None:
            body = {"lease": name, "from": held.holder, "expires": held.expires, "reason": reason}
            tx.append_audit("break-lease", app.actor, body, app.clock.now())
    return held
