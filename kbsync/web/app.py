"""The ASGI application: routes, errors, and the guard around them."""

from __future__ import annotations

import time

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from kbsync.config import WebSettings
from kbsync.config.settings import LOOPBACK
from kbsync.domain.errors import KbsyncError
from kbsync.web.actions import Actions
from kbsync.web.backend import Backend
from kbsync.web.guard import HEALTH, Guard
from kbsync.web.pages import Pages
from kbsync.web.security import Keys


def make_app(backend: Backend, web: WebSettings) -> ASGIApp:
    """The application that serves one backend."""
    denied = backend.metrics.request_denied
    keys = Keys(web.secret, time.monotonic, denied)
    pages = Pages(backend, keys)
    actions = Actions(pages)
    routes = [
        Route("/", pages.overview),
        Route("/live", pages.live),
        Route("/versions", pages.versions),
        Route("/versions/{number}", pages.version),
        Route("/versions/{number}/report", pages.report),
        Route("/facts", pages.facts),
        Route("/facts/{item}/{property:path}", pages.fact),
        Route("/quarantine", pages.quarantine),
        Route(HEALTH, pages.health),
        Route("/readyz", pages.ready),
        Route("/metrics", pages.metrics),
        Route("/login", actions.login, methods=["GET", "POST"]),
        Route("/logout", actions.logout, methods=["POST"]),
        Route("/rollback", actions.rollback, methods=["POST"]),
        Route("/sync", actions.sync, methods=["POST"]),
        Mount("/static", StaticFiles(packages=[("kbsync.web", "static"), ("kbsync.views", "static")])),
    ]
    app = Starlette(routes=routes, exception_handlers={KbsyncError: pages.error})
    return Guard(app, keys, private=not web.loopback, hosts=LOOPBACK, denied=denied)
