"""The requests that change something: log in and out, roll back, synchronise now. Each action needs the token."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from kbsync.web.pages import Pages
from kbsync.web.security import COOKIE, SESSION_SECONDS, bearer_of, session_of

LONGEST_FORM = 10_000
"""Bytes; no form here is longer."""
WRONG_TOKEN_SECONDS = 1.0
"""How long the answer to a wrong token takes, which slows guessing down."""


@dataclass(frozen=True, slots=True)
class Actions:
    """The actions. ``pages`` shows their forms and answers."""

    pages: Pages

    async def login(self, request: Request) -> Response:
        """Show the form, or give a session for the token."""
        target = _local(request.query_params.get("next", "/"))
        if request.method == "GET":
            return self.pages.page(request, "login.html", wrong=False, target=target)
        form, keys = await _form(request), self.pages.keys
        if not keys.right(form.get("token", "")):
            await asyncio.sleep(WRONG_TOKEN_SECONDS)
            return self.pages.page(request, "login.html", code=403, wrong=True, target=target)
        response = RedirectResponse(_local(form.get("next", "/")), 303)
        secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, keys.session(), max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=secure
        )
        return response

    async def logout(self, request: Request) -> Response:
        """Take the session's cookie back."""
        if refusal := self._refusal(request, await _form(request)):
            return refusal
        response = RedirectResponse("/", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    async def rollback(self, request: Request) -> Response:
        """Move `current` to version ``to`` (0: the base), as ``kbsync rollback --to`` does."""
        form = await _form(request)
        if refusal := self._refusal(request, form):
            return refusal
        to = form.get("to", "")
        if not (to.isascii() and to.isdigit() and len(to) < 9):
            return PlainTextResponse("Name the version to go to: to=N.\n", 400)
        await run_in_threadpool(self.pages.backend.rollback, int(to))
        return RedirectResponse("/versions", 303)

    async def sync(self, request: Request) -> Response:
        """Start a cycle now; one that runs already goes on."""
        if refusal := self._refusal(request, await _form(request)):
            return refusal
        if self.pages.backend.sync_now is None:
            return PlainTextResponse("No daemon runs in this process.\n", 409)
        self.pages.backend.sync_now()
        return RedirectResponse("/", 303)

    def _refusal(self, request: Request, form: dict[str, str]) -> Response | None:
        """Why the request may not act; None where it has the token itself, or a session and the form's own secret."""
        keys, session = self.pages.keys, session_of(request)
        if keys.right(bearer_of(request)):
            return None
        if not keys.holds(session):
            return PlainTextResponse("A token is needed.\n", 401, {"WWW-Authenticate": "Bearer"})
        if not keys.unforged(session, form.get("csrf", "")):
            return PlainTextResponse("This form was not made here; load the page again.\n", 403)
        return None


async def _form(request: Request) -> dict[str, str]:
    """The last value of each field. A body that is longer than any form here gives no field, and so is refused."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[-1] for name, values in fields.items()}


def _local(target: str) -> str:
    """A path on this site; anything that could lead elsewhere becomes ``/``."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if safe else "/"
