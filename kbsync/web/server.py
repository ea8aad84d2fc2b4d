"""The server of the status page: one thread of this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbsync.config import WebSettings
from kbsync.config.secret_settings import require_private
from kbsync.domain.errors import ConfigError, StoreError
from kbsync.system.log import logger
from kbsync.web.backend import Backend

if TYPE_CHECKING:
    import uvicorn

ACCEPTED_AT_ONCE = 64
"""Connections that are accepted in one round, before idle ones are closed. Each takes a file descriptor."""
QUEUED = 1024
"""Connections that the operating system keeps until they are accepted; further clients try again a second later."""
STARTS_WITHIN_SECONDS, ENDS_WITHIN_SECONDS = 10, 5
"""How long the server may take to start, and how long running requests may take to end when it stops."""


@contextmanager
def serving(backend: Backend, web: WebSettings) -> Iterator[str]:
    """Serve the status page inside the block, whose value is the address.

    Raises:
        ConfigError: The extra ``web`` is not installed, or others may read the token's file.
        StoreError: The address is taken.
    """
    try:
        import uvicorn

        from kbsync.web.app import make_app
        from kbsync.web.patience import PatientProtocol
    except ModuleNotFoundError as error:
        what = f"web: the status page needs the package {error.name}"
        raise ConfigError([what], next_step="Install it: pip install 'kbsync[web]'.") from error
    require_private(web.token_file, "web.token_file")
    with _listen(web) as listener:
        # No access log and no log of headers, so that neither tokens nor cookies reach a file. Other protocols than
        # HTTP are refused without a log line, because otherwise anybody could fill the log. The client's address is the
        # one that connects: headers that name another would let an attacker evade the brake.
        config = uvicorn.Config(
            make_app(backend, web),
            http=PatientProtocol,
            ws="none",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            lifespan="off",
            server_header=False,
            backlog=ACCEPTED_AT_ONCE,
            timeout_graceful_shutdown=ENDS_WITHIN_SECONDS,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
        thread.start()
        _wait_until_started(server, thread)
        listener.listen(QUEUED)
        host = f"[{web.host}]" if ":" in web.host else web.host
        address = f"http://{host}:{listener.getsockname()[1]}/"
        logger().info("status page", address=address)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join(2 * ENDS_WITHIN_SECONDS)


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + STARTS_WITHIN_SECONDS
    while not server.started and thread.is_alive() and time.monotonic() < end:
        time.sleep(0.005)


def _listen(web: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        return socket.create_server((web.host, web.port), family=family, backlog=QUEUED)
    except OSError as error:
        raise StoreError(
            f"The status page can't listen on {web.host} port {web.port}: {error.strerror or error}.",
            next_step="Choose another web.port, or end what uses it.",
        ) from error
