"""The pages: each handler reads the ledger once and fills a template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from kbsync.domain.errors import KbsyncError, NotFound
from kbsync.domain.relation import Relation
from kbsync.domain.statement import item_id
from kbsync.views.explain import explain
from kbsync.views.fact_list import FILTERS, fact_list
from kbsync.views.html import environment
from kbsync.views.report import report
from kbsync.web.security import REPORT_POLICY, Keys, session_of
from kbsync.web.site import Site


@dataclass(frozen=True, slots=True)
class Pages:
    """All that is looked at; nothing here changes anything."""

    site: Site
    keys: Keys

    def page(self, request: Request, template: str, *, code: int = 200, **values: Any) -> HTMLResponse:
        """A whole page. ``csrf`` is empty for those who have not shown the token, and hides the actions."""
        session = session_of(request.headers)
        csrf = self.keys.csrf(session) if self.keys.holds(session) else ""
        common = {"path": request.url.path, "csrf": csrf, "may_log_in": self.keys.given}
        return HTMLResponse(_render(template, **common, **values), code)

    def health(self, _request: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("ok\n")

    def ready(self, _request: Request) -> Response:
        """The ledger can be read and the daemon's work is not stuck."""
        reasons = [reason] if (reason := self.site.trouble()) else []
        try:
            with self.site.ledger.read() as tx:
                tx.audit_head()
        except KbsyncError as error:
            reasons.append(error.what)
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    def metrics(self, _request: Request) -> Response:
        return Response(generate_latest(self.site.recorder.registry), media_type=CONTENT_TYPE_LATEST)

    def overview(self, request: Request) -> Response:
        return self.page(request, "overview.html", **self._state(), can_sync=self.site.sync_now is not None)

    def live(self, _request: Request) -> Response:
        """The changing part of the overview, for the script that replaces it."""
        return HTMLResponse(_render("_state.html", **self._state()))

    def versions(self, request: Request) -> Response:
        return self.page(request, "versions.html", versions=self.site.look()[1])

    def version(self, request: Request) -> Response:
        """One version's figures, the gate's reasons, its facts, and every prompt that it was asked."""
        number = request.path_params["number"]
        view = next((v for v in self.site.look()[1].versions if v.number == number), None)
        if view is None:
            raise NotFound(f"There is no version {number}.")
        with self.site.ledger.read() as tx:
            plan, evaluation = tx.plan(view.plan), tx.evaluation(number)
        outcomes = sorted(evaluation.outcomes, key=lambda o: (o.right, o.group)) if evaluation else []
        return self.page(request, "version.html", version=view, plan=plan, evaluation=evaluation, outcomes=outcomes)

    def report(self, request: Request) -> Response:
        """What `kbsync report` writes: one page that needs nothing else, to be kept or sent."""
        number = request.path_params["number"]
        with self.site.ledger.read() as tx:
            text = report(tx, self.site.relations, number, self.site.clock.now())
        return HTMLResponse(text, headers={"Content-Security-Policy": REPORT_POLICY})

    def facts(self, request: Request) -> Response:
        asked = {key: request.query_params.get(key, "")[:200] for key in ("q", "only", "relation")}
        if asked["only"] not in ("", *FILTERS):
            raise NotFound(f"There is no filter {asked['only']!r}.", next_step=f"Choose of {', '.join(FILTERS)}.")
        number = request.query_params.get("page", "1")
        relations = self.site.relations
        with self.site.ledger.read() as tx:
            view = fact_list(
                tx,
                relations,
                query=asked["q"],
                only=asked["only"],
                relation=asked["relation"],
                page=int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 1,
            )
        names = [r.name for r in relations]
        return self.page(request, "facts.html", view=view, asked=asked, filters=FILTERS, relations=names)

    def fact(self, request: Request) -> Response:
        """One fact from the revision that brought it to the versions that hold it."""
        item, relation = item_id(request.path_params["item"]), self._relation(request.path_params["property"])
        with self.site.ledger.read() as tx:
            view = explain(tx, item, relation, self.site.clock.now())
        return self.page(request, "fact.html", fact=view)

    def quarantine(self, request: Request) -> Response:
        return self.page(request, "quarantine.html", entries=self.site.look()[0].quarantine)

    def error(self, request: Request, error: Exception) -> Response:
        """What happened, what was kept, what next: as on the command line."""
        if not isinstance(error, KbsyncError):
            raise error
        code = {65: 400, 66: 404, 69: 503, 74: 503, 75: 409, 78: 503}.get(error.exit_code, 500)
        return self.page(request, "error.html", code=code, error=error)

    def _state(self) -> dict[str, Any]:
        status, _ = self.site.look()
        lag = (self.site.clock.now() - status.watermark).total_seconds() if status.watermark else None
        activity = self.site.activity.view if self.site.activity else None
        pulls = self.site.pulls.view if self.site.pulls else None
        return {
            "status": status,
            "activity": activity,
            "pulls": pulls if pulls and (pulls.since or pulls.next_at) else None,
            "schedule": self.site.schedule.read() if self.site.schedule else None,
            "lag": None if lag is None else _span(lag),
        }

    def _relation(self, asked: str) -> Relation:
        found = next((r for r in self.site.relations if asked in (r.property, r.name)), None)
        if found is None:
            raise NotFound(f"No relation {asked} is watched.")
        return found


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
