"""Checks of the statements' source: whether it answers, how fresh it is, and whether it knows the relations."""

from __future__ import annotations

from datetime import timedelta

from kbsync.bootstrap import App
from kbsync.operations.checks.doubt import Doubt, rounded
from kbsync.operations.checks.ledger import SKEW
from kbsync.stages.pull.clock import ahead_of_time
from kbsync.system.hidden import shown_url

LAG = timedelta(days=1)
"""Lag of the source above which the check warns."""
SAMPLE = 5
"""Number of each relation's subjects that the source is asked about."""


def source(app: App) -> str:
    """Whether the endpoint answers, and how its time relates to the ledger's and to this machine's."""
    server, now = app.source.server_time(), app.clock.now()
    endpoint = shown_url(app.settings.source.endpoint)
    with app.ledger.read() as tx:
        watermark = tx.watermark(app.source.name)
    if ahead_of_time(watermark, max(now, server)):
        raise Doubt(
            f"the ledger was brought up to {watermark:%Y-%m-%d %H:%M}, which has not come yet",
            "A source once told a wrong time. `kbsync pull --accept-time` takes the word of the source of today.",
        )
    if watermark is not None and server < watermark:
        raise Doubt(
            f"{endpoint} knows Wikidata up to {server:%Y-%m-%d %H:%M}, the ledger already up to "
            f"{watermark:%Y-%m-%d %H:%M}",
            "The endpoint was restored or lags; pull refuses to go back until it has caught up. If it is right, "
            "`kbsync pull --accept-time` takes its word.",
        )
    if server - now > SKEW:
        raise Doubt(
            f"{endpoint} is {rounded(server - now)} ahead of this machine's clock",
            "Set this machine's clock (NTP) if it is wrong: trust times and leases are counted by it. If the endpoint "
            "has a wrong date, correct it or use another one: pull refuses what is more than a day ahead.",
        )
    lag = rounded(now - server)
    if now - server > LAG:
        raise Doubt(f"{endpoint} answers, and lags {lag} behind", "Fine for a mirror; else use a fresher endpoint.")
    found = app.source.describe()
    told = f" ({found})" if found else ""
    return f"{endpoint} answers{told}, lags {lag} behind, and accepts {app.settings.source.user_agent!r}"


def relations(app: App) -> str:
    """Ask what pull asks, for a few subjects of each relation."""
    counts, empty = [], []
    for relation in app.relations:
        subjects = app.source.subjects(relation)
        alive = [head.id for head in app.source.heads(subjects[:SAMPLE]) if not head.deleted]
        pages = app.source.records(alive, [relation.property])
        counts.append(f"{relation.name}: {len(subjects)} subjects")
        if not any(record.statements for page in pages for record in page):
            empty.append(f"{relation.name} ({relation.property})")
    if empty:
        raise Doubt(
            f"no statement among the first {SAMPLE} subjects of {', '.join(empty)}",
            "Check the property and the subjects in the relation's file.",
        )
    return "; ".join(counts)
