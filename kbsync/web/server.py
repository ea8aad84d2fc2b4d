"""The server of the status page: one thread of this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kbsync.config import WebSettings
from kbsync.domain.errors import ConfigError, StoreError
from kbsync.system.log import logger
from kbsync.web.backend import Backend

MOST_AT_ONCE = 64
"""Connections; further ones are refused."""
ENDS_WITHIN_SECONDS = 5
"""How long running requests may go on when the server ends."""


@contextmanager
def serving(backend: Backend, web: WebSettings) -> Iterator[str]:
    """Serve the status page inside the block, whose value is the address.

    Raises:
        ConfigError: The extra ``web`` is not installed.
        StoreError: The address is taken.
    """
    try:
        import uvicorn

        from kbsync.web.app import make_app
    except ModuleNotFoundError as error:
        what = f"web: the status page needs the package {error.name}"
        raise ConfigError([what], next_step="Install it: pip install 'kbsync[web]'.") from error
    with _listen(web) as listener:
        # No access log and no log of headers: neither tokens nor cookies reach a file.
        config = uvicorn.Config(
            make_app(backend, web),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            limit_concurrency=MOST_AT_ONCE,
            timeout_graceful_shutdown=ENDS_WITHIN_SECONDS,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
        thread.start()
        host = f"[{web.host}]" if ":" in web.host else web.host
        address = f"http://{host}:{listener.getsockname()[1]}/"
        logger().info("status page", address=address)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join(2 * ENDS_WITHIN_SECONDS)


def _listen(web: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        return socket.create_server((web.host, web.port), family=family, backlog=MOST_AT_ONCE)
    except OSError as error:
        raise StoreError(
            f"The status page can't listen on {web.host} port {web.port}: {error.strerror or error}.",
            next_step="Choose another web.port, or end what uses it.",
        ) from error
