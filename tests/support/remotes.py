"""Places at URLs for tests: memory, a disk through fsspec, and a real WebDAV server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp  # type: ignore[import-untyped]

KINDS = ("memory", "file", "webdav")


@contextmanager
def remote(kind: str, directory: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """``url`` and ``options`` of an empty place."""
    if kind == "memory":
        yield f"memory://kbsync-{uuid4().hex}", {}
    elif kind == "file":
        yield f"file://{directory}/through-fsspec", {}
    else:
        with webdav_server(directory / "webdav") as address:
            yield "webdav://kbsync", {"base_url": address}


@contextmanager
def webdav_server(root: Path) -> Iterator[str]:
    """The address of a server that keeps its files below ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    settings = {
        "provider_mapping": {"/": str(root)},
        "simple_dc": {"user_mapping": {"*": True}},
        "logging": {"enable": False},
        "verbose": 0,
    }
    server = wsgi.Server(("127.0.0.1", 0), WsgiDAVApp(settings), numthreads=4)
    server.expiration_interval = 0.05  # seconds between looks at whether it is to stop
    server.prepare()
    serving = threading.Thread(target=server.serve)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.bind_addr[1]}"
    finally:
        server.stop()
        serving.join()
