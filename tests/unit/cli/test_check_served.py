"""`kbsync check-served`: exit codes, JSON, and the job and the canaries that ask the same server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from kbsync.daemon.jobs import Job, run_stage
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.domain.errors import ConfigError
from kbsync.domain.version import Evaluation, PromptOutcome
from tests.support.site import Site

PROMPTS = {f"The capital of Land {n} is": f"City {n}" for n in range(1, 11)}


def outcome(number: int, prompt: str, city: str, group: str) -> PromptOutcome:
    return PromptOutcome(
        group=group,
        subject=f"Q{number}",
        property="P36",
        prompt=prompt,
        expected=city,
        base_answer=" nowhere at all",
        answer=f" {city}.",
        base_right=group != "edited",
        right=True,
    )


@pytest.fixture
def measured(built: Site) -> Site:
    """Version 1 is current, and its evaluation holds ten outcomes."""
    with built.app() as app, app.ledger.write() as tx:
        evaluation = tx.evaluation(1)
        assert evaluation is not None
        pairs = list(enumerate(PROMPTS.items(), 1))
        outcomes = [outcome(n, p, c, "edited" if n <= 6 else "neighbour") for n, (p, c) in pairs]
        tx.record_evaluation(replace(_later(evaluation), outcomes=tuple(outcomes)))
    built.good("promote", "1")
    return built


def _later(evaluation: Evaluation) -> Evaluation:
    return replace(evaluation, at=evaluation.at + timedelta(seconds=1))


@pytest.fixture
def serve(httpserver: HTTPServer) -> Callable[[dict[str, str]], str]:
    """``serve(answers)``: the address of a server that gives them."""

    def serve(answers: dict[str, str]) -> str:
        def answer(request: Request) -> Response:
            text = answers.get(request.get_json()["prompt"], " nowhere at all")
            return Response(json.dumps({"choices": [{"text": text}]}), content_type="application/json")

        httpserver.clear()
        httpserver.expect_request("/v1/models").respond_with_json({"data": [{"id": "m"}]})
        httpserver.expect_request("/v1/completions").respond_with_handler(answer)
        return httpserver.url_for("").rstrip("/")

    return serve


RIGHT = {prompt: f" {city}" for prompt, city in PROMPTS.items()}
STALE = {prompt: f" {city}" for prompt, city in list(PROMPTS.items())[2:]}


def test_it_ends_with_3_where_the_policy_does_not_hold(measured: Site, serve: Callable[[dict[str, str]], str]) -> None:
    well = measured("check-served", serve(RIGHT), "--json")
    assert well.code == 0, well
    told = well.json
    assert (told["version"], told["asked"], told["lost"], told["decision"]["passed"]) == (1, 10, [], True)
    served = {f["name"]: f["served"] for f in told["figures"]}
    assert (served["efficacy"], served["specificity"]) == (1, 1)
    badly = measured("check-served", serve(STALE), "1")
    assert badly.code == 3
    assert badly.out.count("stale: ") == 2 and "'City 1'" in badly.out
    assert "as the unedited base does" in badly.out and "does not hold" in badly.out
    before = measured.good("status", "--json").json["current"]["number"]
    assert before == 1, "a look changes nothing"


@pytest.mark.slow
def test_what_can_not_be_asked(measured: Site, serve: Callable[[dict[str, str]], str]) -> None:
    assert measured("check-served", serve(RIGHT), "2").code == 66
    assert measured("check-served", "http://127.0.0.1:9").code == 69
    assert measured("check-served", serve(RIGHT), "--extra", "[1]").code == 2
    assert measured("check-served", serve(RIGHT), "--extra", "{").code == 2
    for address in ("http://me:hunter22@127.0.0.1:9", "ftp://me:hunter22@h", "http://me:hunter22@h:nine"):
        told = measured("check-served", address)
        assert told.code in (65, 69, 76) and "hunter22" not in told.out + told.err
    measured.good("rollback", "--to", "0")
    assert "nothing to ask" in measured.good("check-served", "http://127.0.0.1:9").out


def with_server(site: Site, url: str, more: str = "") -> Site:
    text = site.config.read_text().partition("\n[served]")[0]
    site.config.write_text(f'{text}\n[served]\nurl = "{url}"\n{more}')
    return site


def run_job(site: Site, metrics: ProcessMetrics) -> str:
    job = Job(name="look", stage="check-served", when="1h", jitter=timedelta(0), deadline=timedelta(days=1))
    with site.app() as app:
        return run_stage(job, app, metrics)


@pytest.fixture
def metrics() -> Iterator[ProcessMetrics]:
    yield ProcessMetrics()


def value(metrics: ProcessMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


@pytest.mark.slow
def test_the_job_sets_metrics(measured: Site, serve: Callable[[dict[str, str]], str], metrics: ProcessMetrics) -> None:
    with pytest.raises(ConfigError, match=r"served\.url"):
        run_job(measured, metrics)
    assert run_job(with_server(measured, serve(RIGHT)), metrics) == "served well"
    assert value(metrics, "kbsync_served_figure", metric="efficacy") == 1
    assert (value(metrics, "kbsync_served_holds"), value(metrics, "kbsync_served_version")) == (1, 1)
    assert run_job(with_server(measured, serve(STALE)), metrics) == "served badly"
    assert value(metrics, "kbsync_served_figure", metric="efficacy") == pytest.approx(4 / 6)
    assert (value(metrics, "kbsync_served_holds"), value(metrics, "kbsync_served_lost")) == (0, 2)


@pytest.mark.slow
def test_canaries_may_be_asked_of_the_server(measured: Site, serve: Callable[[dict[str, str]], str]) -> None:
    site = with_server(measured, serve(RIGHT), "canaries = true\n")
    sung = site.good("canary", "--json").json
    assert (sung["asked"], sung["lost"], sung["rolled_back_to"]) == (10, [], None)
    with_server(site, "http://127.0.0.1:9", "canaries = true\n")
    assert site("canary").code == 69
    assert site.good("status", "--json").json["current"]["number"] == 1, "a server that is down rolls nothing back"
    fallen = with_server(site, serve(STALE), "canaries = true\n")("canary", "--json")
    assert fallen.code == 3 and fallen.json["rolled_back_to"] == 0


@pytest.mark.slow
def test_a_cut_adapter_is_asked_and_refused_below_the_gate(measured: Site, tmp_path: Path) -> None:
    cut = ("export", "1", str(tmp_path / "out"), "--format", "lora", "--rank", "1")
    refused = measured(*cut)
    assert refused.code == 3 and "efficacy is" in refused.err and "--override" in refused.err
    assert not (tmp_path / "out").exists()
    told = measured.good(*cut, "--override", "a trial", "--json").json
    figures = {f["name"]: (f["served"], f["measured"]) for f in told["kept"]}
    assert figures["efficacy"] == (0, 1) and "Q1 P36" in told["lost"]
    record = json.loads((tmp_path / "out" / "kbsync.json").read_text())
    assert record["override"] == "a trial" and record["kept"]["efficacy"]["kept"] == 0
    exact = measured.good("export", "1", str(tmp_path / "exact"), "--format", "lora", "--json").json
    assert exact["kept"] == [] and exact["rank"] == 2 and exact["server_rank"] == 8


@pytest.mark.slow
def test_a_cut_adapter_is_not_published_below_the_gate(measured: Site) -> None:
    text = measured.config.read_text()
    measured.config.write_text(text + '\n[release]\npublish = "lora"\nrank = 1\n')
    refused = measured("promote", "1")
    assert refused.code == 3 and "can't be published with rank 1" in refused.err
    assert "factors" in (measured.state / "current").resolve().name, "the path stays where it was"
    measured.config.write_text(text + '\n[release]\npublish = "lora"\nrank = 1\noverride = "a trial"\n')
    measured.good("promote", "1")
    assert (measured.state / "current" / "adapter_config.json").is_file()
