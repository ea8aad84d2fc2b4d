"""The pages: each handler reads the ledger once and fills a template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from kbsync.domain.consequence import two_hop_relations
from kbsync.domain.errors import KbsyncError, NotFound
from kbsync.domain.relation import Relation
from kbsync.domain.statement import item_id
from kbsync.views.explain import explain
from kbsync.views.fact_list import FILTERS, fact_list
from kbsync.views.forms import by_form
from kbsync.views.html import environment
from kbsync.views.report import report
from kbsync.views.ways import compared_ways
from kbsync.web.backend import Backend
from kbsync.web.guard import REPORT_POLICY
from kbsync.web.security import Keys, session_of


@dataclass(frozen=True, slots=True)
class Pages:
    """Handles the pages that only show something."""

    backend: Backend
    keys: Keys
    """Tells whether a page offers actions to its viewer."""

    def page(self, request: Request, template: str, *, code: int = 200, **values: Any) -> HTMLResponse:
        """Fill a whole page. Without a session ``csrf`` is empty, which hides the actions.

        Args:
            code: The HTTP status.
            values: What the template uses beside the path, ``csrf`` and ``may_log_in``.
        """
        session = session_of(request)
        csrf = self.keys.csrf(session) if self.keys.holds(session) else ""
        common = {"path": request.url.path, "csrf": csrf, "may_log_in": self.keys.given}
        return HTMLResponse(_render(template, **common, **values), code)

    async def health(self, _request: Request) -> Response:
        """Answer that the process is alive, without one of the threads that render pages."""
        return PlainTextResponse("ok\n")

    def ready(self, _request: Request) -> Response:
        """Answer whether the ledger can be read and the daemon is not stuck, and why if not."""
        reasons = [reason] if (reason := self.backend.trouble()) else []
        try:
            with self.backend.ledger.read() as tx:
                tx.audit_head()
        except KbsyncError as error:
            reasons.append(error.what)
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    def metrics(self, _request: Request) -> Response:
        """Print all metrics in the text format of Prometheus."""
        return Response(generate_latest(self.backend.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    def overview(self, request: Request) -> Response:
        """Show the state of everything."""
        return self.page(request, "overview.html", **self._state(), can_sync=self.backend.sync_now is not None)

    def live(self, _request: Request) -> Response:
        """Send the changing part of the overview, for the script that replaces it."""
        return HTMLResponse(_render("_state.html", **self._state()))

    def versions(self, request: Request) -> Response:
        """List all versions."""
        return self.page(request, "versions.html", versions=self.backend.snapshot().versions)

    def version(self, request: Request) -> Response:
        """Show a version's metrics, the gate's reasons, its facts, and every prompt that it was asked."""
        number = _version_number(request)
        view = next((v for v in self.backend.snapshot().versions.versions if v.number == number), None)
        if view is None:
            raise NotFound(f"There is no version {number}.")
        with self.backend.ledger.read() as tx:
            plan, evaluation = tx.plan(view.plan), tx.evaluation(number)
        outcomes = sorted(evaluation.outcomes, key=lambda o: (o.right, o.group)) if evaluation else []
        metrics = evaluation.metrics if evaluation else ()
        return self.page(
            request,
            "version.html",
            version=view,
            plan=plan,
            evaluation=evaluation,
            outcomes=outcomes,
            forms=by_form(metrics),
            ways=compared_ways(metrics),
        )

    def report(self, request: Request) -> Response:
        """Send what `kbsync report` writes: a page that needs no other file, so that it can be kept or sent on."""
        number = _version_number(request)
        with self.backend.ledger.read() as tx:
            text = report(tx, self.backend.relations, number, self.backend.clock.now())
        return HTMLResponse(text, headers={"Content-Security-Policy": REPORT_POLICY})

    def facts(self, request: Request) -> Response:
        """List the facts that match ``q``, ``only`` and ``relation``, one page of them."""
        search = {key: request.query_params.get(key, "")[:200] for key in ("q", "only", "relation")}
        if search["only"] not in ("", *FILTERS):
            raise NotFound(f"There is no filter {search['only']!r}.", next_step=f"Choose one of {', '.join(FILTERS)}.")
        relations, after = self.backend.relations, request.query_params.get("after", "")[:200].replace("\0", "")
        with self.backend.ledger.read() as tx:
            view = fact_list(
                tx,
                relations,
                query=search["q"],
                only=search["only"],
                relation=search["relation"],
                after=after,
            )
        names = [r.name for r in relations]
        return self.page(
            request, "facts.html", view=view, search=search, filters=FILTERS, relations=names, begins=not after
        )

    def fact(self, request: Request) -> Response:
        """Show one fact, from the revision that it was read from to the versions that hold it."""
        item, relation = item_id(request.path_params["item"]), self._relation(request.path_params["property"])
        with self.backend.ledger.read() as tx:
            view = explain(tx, item, relation, self.backend.clock.now())
        return self.page(request, "fact.html", fact=view)

    def quarantine(self, request: Request) -> Response:
        """List the facts in quarantine."""
        return self.page(request, "quarantine.html", entries=self.backend.snapshot().status.quarantine)

    def error(self, request: Request, error: Exception) -> Response:
        """Show what happened, what was kept and what to do next, as the command line does."""
        if not isinstance(error, KbsyncError):
            raise error
        code = {65: 400, 66: 404, 69: 503, 74: 503, 75: 409, 78: 503}.get(error.exit_code, 500)
        return self.page(request, "error.html", code=code, error=error)

    def _state(self) -> dict[str, Any]:
        status = self.backend.snapshot().status
        lag = (self.backend.clock.now() - status.watermark).total_seconds() if status.watermark else None
        activity = self.backend.activity.view if self.backend.activity else None
        pulls = self.backend.pulls.view if self.backend.pulls else None
        return {
            "status": status,
            "activity": activity,
            "pulls": pulls if pulls and (pulls.since or pulls.next_at) else None,
            "schedule": self.backend.schedule.read() if self.backend.schedule else None,
            "lag": None if lag is None else _span(lag),
        }

    def _relation(self, name: str) -> Relation:
        """The watched relation of this name or property."""
        relations = (*self.backend.relations, *two_hop_relations(self.backend.relations))
        relation = next((r for r in relations if name in (r.property, r.name)), None)
        if relation is None:
            raise NotFound(f"No relation {name} is watched.")
        return relation


def small_number(text: str) -> int | None:
    """A number of at most eight digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _version_number(request: Request) -> int:
    text = request.path_params["number"]
    if (number := small_number(text)) is None:
        raise NotFound(f"There is no version {text[:20]}.")
    return number


def _render(template: str, **values: Any) -> str:
    return environment("kbsync.web", "kbsync.views").get_template(template).render(**values)


def _span(seconds: float) -> str:
    """``3 d 4 h``, ``2 h 5 min``, ``40 s``: the two largest units."""
    left = int(max(0, seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2])
