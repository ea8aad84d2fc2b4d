"""The switch in front of llama.cpp: forwards each request to the process that serves the current version."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kbsync.domain.errors import StoreError
from kbsync.notifiers.llama import upstream
from kbsync.web.patience import PatientProtocol

_DROPPED = frozenset({"host", "connection", "content-length", "transfer-encoding", "keep-alive"})
_METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"]
_TRIES = 3
MOST_BYTES = 16 * 2**20
"""Of one request: far more than any model's context."""
MOST_HELD = 16 * MOST_BYTES
"""Of all requests that are being sent."""
_SILENCE_SECONDS = 600
"""The longest silence of the process that serves."""
_ENDS_WITHIN_SECONDS = 30
"""How long running requests may take to end when the switch stops."""


@contextmanager
def switching(state_dir: Path, host: str, port: int) -> Iterator[str]:
    """Run the switch inside the block, whose value is its address; raises ``StoreError`` if the address is taken."""
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise StoreError(
            f"The switch can't listen on {host} port {port}: {error.strerror or error}.",
            next_step="Choose another --port, or end what uses it.",
        ) from error
    with listener:
        config = uvicorn.Config(
            switch(state_dir),
            http=PatientProtocol,
            ws="none",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_ENDS_WITHIN_SECONDS,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="switch", daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(2 * _ENDS_WITHIN_SECONDS)


def switch(state_dir: Path) -> Starlette:
    """An application that forwards.

    Args:
        state_dir: Holds the file that names the process.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx2.AsyncClient(timeout=httpx2.Timeout(_SILENCE_SECONDS, connect=5)) as client:
            app.state.client = client
            yield

    held = 0

    async def forward(request: Request) -> Response:
        nonlocal held
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                held += len(chunk)
                if len(body) > MOST_BYTES:
                    return _refused(413, f"A request may have {MOST_BYTES} bytes.")
                if held > MOST_HELD:
                    return _refused(503, "Too much is being sent at once; try again.")
            return await _forwarded(request, bytes(body), state_dir)
        except ClientDisconnect:
            return _refused(400, "The request ended before its end.")
        finally:
            held -= len(body)

    return Starlette(routes=[Route("/{path:path}", forward, methods=_METHODS)], lifespan=lifespan)


async def _forwarded(request: Request, body: bytes, state_dir: Path) -> Response:
    """Send the request to the process that serves the current version, again where one has just been replaced."""
    client: httpx2.AsyncClient = request.app.state.client
    # As the client wrote them: what they hold need be neither ASCII nor a path that can be printed.
    headers = [(k, v) for k, v in request.headers.raw if k.lower().decode("latin-1") not in _DROPPED]
    target = request.scope["raw_path"] + (b"?" + query if (query := request.scope["query_string"]) else b"")
    # A process that is being stopped refuses the connection, so nothing was sent; the file then names the next one.
    for _ in range(_TRIES):
        told = upstream(state_dir)
        if told is None:
            break
        try:
            address = f"http://127.0.0.1:{told['port']}{target.decode('ascii')}"
            sent = client.build_request(
                request.method, address, headers=[*headers, (b"Connection", b"close")], content=body
            )
        except (httpx2.InvalidURL, ValueError):
            return _refused(400, "The request's address can't be read.")
        try:
            answer = await client.send(sent, stream=True)
        except httpx2.ConnectError:
            continue
        except httpx2.RequestError as error:
            return _refused(502, f"The model's server failed: {error}.")
        kept = {k: v for k, v in answer.headers.items() if k not in _DROPPED}
        return StreamingResponse(_bytes(answer), answer.status_code, kept)
    return _refused(503, "No server runs: `kbsync notify --again` starts one.")


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status)


async def _bytes(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
