"""``kbsync serve``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeView:
    """Printed once, as soon as ``address`` answers."""

    address: str


@verb(
    "serve",
    examples=["kbsync serve", "kbsync serve --port 0"],
    exits=[74],
    prints="kbsync.cli.serve:ServeView",
    changes="",
)
def serve(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(metavar="N", help="Instead of web.port; 0: any free one.", min=0, max=65535)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Serve the status page, /healthz, /readyz and /metrics until SIGTERM or SIGINT, beside a cron job or a daemon.

    Reads the ledger: no model is loaded and the source is not asked. Listens on `web.host` (loopback by default; any
    other demands a token). A daemon serves the same by itself where `web.enabled` is set, and shows what it is doing.
    """
    from kbsync.cli.context import configuration
    from kbsync.cli.output import emit, say

    current = configuration(context)

    from kbsync.bootstrap import App
    from kbsync.daemon.metrics import ProcessMetrics
    from kbsync.system.stop_request import StopRequest, on_signals
    from kbsync.web.backend import Backend
    from kbsync.web.server import serving

    web = current.settings.web if port is None else current.settings.web.model_copy(update={"port": port})
    app = App(current, actor="web")
    try:
        backend = Backend(
            configuration=lambda: current,
            ledger=app.ledger,
            clock=app.clock,
            metrics=ProcessMetrics(),
        )
        with on_signals(StopRequest()) as stop, serving(backend, web) as address:
            emit(ServeView(address=address)) if json else say(f"serving {address}")
            stop.wait()
    finally:
        app.close()
