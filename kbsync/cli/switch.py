"""``kbsync switch``"""

from __future__ import annotations

from typing import Annotated

import typer

from kbsync.cli.command import JsonOption, verb


@verb(
    "switch",
    examples=["kbsync switch --port 8080"],
    exits=[74],
    prints="kbsync.cli.serve:ServeView",
    changes="",
)
def switch(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(metavar="N", help="Where it listens; 0: any free port.", min=0, max=65535)
    ] = 8080,
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    json: JsonOption = False,
) -> None:
    """Forward requests to the llama.cpp that serves the current version, until SIGTERM or SIGINT.

    `[release.engine] kind = "llama.cpp"` starts a new llama.cpp beside the old one whenever current moves; this switch
    stands before them, and sends each request to the one that answers for the current version. It knows no key and no
    encryption: keep it on loopback, or put a proxy before it.
    """
    from kbsync.cli.context import configuration
    from kbsync.cli.output import emit, say
    from kbsync.cli.serve import ServeView
    from kbsync.domain.errors import ConfigError
    from kbsync.system.stop_request import StopRequest, on_signals

    try:
        from kbsync.web.switch import switching
    except ModuleNotFoundError as error:
        what = f"web: the switch needs the package {error.name}"
        raise ConfigError([what], next_step="Install it: pip install 'kbsync[web]'.") from error
    settings = configuration(context).settings
    engine = settings.release.engine
    if engine is None or engine.kind != "llama.cpp":
        what = 'release.engine: nothing starts a server to which the switch could forward; it needs kind = "llama.cpp"'
        raise ConfigError([what], next_step="Clients of vLLM and SGLang ask the engine itself.")
    with on_signals(StopRequest()) as stop, switching(settings.state_dir, host, port) as address:
        emit(ServeView(address=address)) if json else say(f"serving {address}")
        stop.wait()
