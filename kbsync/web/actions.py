"""The requests that change something: log in and out, roll back, synchronise. Each of them needs the token."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from kbsync.web.pages import Pages, small_number
from kbsync.web.security import COOKIE, SESSION_SECONDS, Shown, bearer_of, refused, session_of

LONGEST_FORM = 10_000
"""Largest size of a form in bytes; no form of these pages is longer."""
MOST_FIELDS = 20


@dataclass(frozen=True, slots=True)
class Actions:
    """Handles the actions; ``pages`` renders their forms and answers."""

    pages: Pages

    async def login(self, request: Request) -> Response:
        """Show the form, or start a session for whoever offers the token."""
        target = _local(request.query_params.get("next", "/"))
        if request.method == "GET":
            return self.pages.page(request, "login.html", wrong=False, target=target)
        form, keys = await _form(request), self.pages.keys
        shown = keys.show(form.get("token", ""), request)
        if shown is Shown.BRAKED:
            return refused(shown)
        if shown is Shown.WRONG:
            return self.pages.page(request, "login.html", code=403, wrong=True, target=target)
        response = RedirectResponse(_local(form.get("next", "/")), 303)
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
        response.set_cookie(
            COOKIE, keys.session(), max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=secure
        )
        return response

    async def logout(self, request: Request) -> Response:
        """End the session, and delete its cookie."""
        if refusal := self._refusal(request, await _form(request)):
            return refusal
        self.pages.keys.end(session_of(request))
        response = RedirectResponse("/", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    async def rollback(self, request: Request) -> Response:
        """Move `current` to version ``to`` (0: the base), as ``kbsync rollback --to`` does."""
        form = await _form(request)
        if refusal := self._refusal(request, form):
            return refusal
        to = small_number(form.get("to", ""))
        if to is None:
            return PlainTextResponse("Name the version to go to: to=N.\n", 400)
        await run_in_threadpool(self.pages.backend.rollback, to)
        return RedirectResponse("/versions", 303)

    async def sync(self, request: Request) -> Response:
        """Start a cycle now; does nothing while one is running."""
        if refusal := self._refusal(request, await _form(request)):
            return refusal
        if self.pages.backend.sync_now is None:
            return PlainTextResponse("No daemon runs in this process.\n", 409)
        self.pages.backend.sync_now()
        return RedirectResponse("/", 303)

    def _refusal(self, request: Request, form: dict[str, str]) -> Response | None:
        """Why the request may not act; None if it has the token itself, or a session and that session's form secret."""
        keys, session = self.pages.keys, session_of(request)
        if offered := bearer_of(request):
            shown = keys.show(offered, request)
            return None if shown is Shown.RIGHT else refused(shown)
        if not keys.holds(session):
            return refused(Shown.WRONG)
        if not keys.unforged(session, form.get("csrf", "")):
            return PlainTextResponse("This form was not made here; load the page again.\n", 403)
        return None


async def _form(request: Request) -> dict[str, str]:
    """The last value of each field. A body that is too long, or has too many fields, gives no field, and so is
    refused."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            return {}
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _local(target: str) -> str:
    """A path on this site; anything that could lead elsewhere becomes ``/``."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if safe else "/"
