"""The client of OpenAI-compatible servers: what it sends, and what it says of servers in trouble."""

from __future__ import annotations

import json
import socket

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from kbsync.domain.errors import ServerDown, ServerError
from kbsync.notifiers.openai import OpenAiServer


def listed(server: HTTPServer, *names: str) -> None:
    server.expect_request("/v1/models").respond_with_json({"data": [{"id": name} for name in names]})


def test_prompts_go_as_they_are_and_answers_end_at_the_first_newline(httpserver: HTTPServer) -> None:
    bodies = []

    def answer(request: Request) -> Response:
        bodies.append((request.headers.get("Authorization"), request.get_json()))
        return Response(json.dumps({"choices": [{"text": " Paris.\nThe"}]}), content_type="application/json")

    listed(httpserver, "only")
    httpserver.expect_request("/v1/completions", method="POST").respond_with_handler(answer)
    server = OpenAiServer(httpserver.url_for("/v1/"), extra={"seed": 1}, key="secret")
    assert server.models() == ("only",)
    assert server.complete(["The capital of France is"], 7) == [" Paris."]
    sent = {"model": "only", "prompt": "The capital of France is", "max_tokens": 7, "temperature": 0, "seed": 1}
    assert bodies == [("Bearer secret", sent)]
    assert httpserver.url_for("").startswith(f"http://{server.name}")


def test_of_several_models_one_must_be_named(httpserver: HTTPServer) -> None:
    listed(httpserver, "base", "kbsync")
    with pytest.raises(ServerError, match="2 models: base, kbsync") as caught:
        OpenAiServer(httpserver.url_for("")).complete(["x"], 1)
    assert "--model" in caught.value.next_step
    httpserver.expect_request("/v1/completions").respond_with_json({"choices": [{"text": "y"}]})
    assert OpenAiServer(httpserver.url_for(""), "kbsync").complete(["x"], 1) == ["y"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, "loading", ServerDown),
        (429, "slow down", ServerDown),
        (404, "no such model", ServerError),
        (401, "no key", ServerError),
        (200, "not json", ServerError),
        (200, "{}", ServerError),
        (200, '{"choices": []}', ServerError),
        (200, '{"choices": [{"text": null}]}', ServerError),
        (200, '{"choices": [{"text": "\\ud800"}]}', ServerError),
        (200, "[" * 200_000, ServerError),
        (200, '{"choices": ' + "9" * 5000 + "}", ServerError),
        (200, b"\xff\xfe\x00", ServerError),
    ],
)
def test_an_answer_that_is_none_is_an_error(
    httpserver: HTTPServer, status: int, body: str | bytes, kind: type[ServerError]
) -> None:
    httpserver.expect_request("/v1/completions").respond_with_data(body, status=status)
    with pytest.raises(ServerError) as caught:
        OpenAiServer(httpserver.url_for(""), "m").complete(["x"], 1)
    assert type(caught.value) is kind and OpenAiServer(httpserver.url_for(""), "m").name in caught.value.what


@pytest.mark.slow
def test_a_server_that_is_down_and_one_that_answers_late() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(ServerDown, match="can't be reached"):
        OpenAiServer(address, "m").complete(["x"], 1)

    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(ServerDown, match=r"did not answer within 0\.2 s"),
    ):
        OpenAiServer(f"http://127.0.0.1:{silent.getsockname()[1]}", "m", timeout=0.2).complete(["x"], 1)


@pytest.mark.parametrize("names", ['{"data": [{"id": 5}]}', '{"data": "abc"}', '{"data": {"a": 1}}', "[" * 200_000])
def test_a_list_of_models_that_is_none(httpserver: HTTPServer, names: str) -> None:
    httpserver.expect_request("/v1/models").respond_with_data(names)
    with pytest.raises(ServerError, match="gave no completion"):
        OpenAiServer(httpserver.url_for("")).models()


@pytest.mark.parametrize(
    "address", ["http://me:hunter22@[", "ftp://me:hunter22@host", "http://me:hunter22@127.0.0.1:1"]
)
def test_no_message_tells_the_password_of_an_address(address: str) -> None:
    with pytest.raises(ServerError) as caught:
        OpenAiServer(address, "m").complete(["x"], 1)
    assert "hunter22" not in str(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize("address", ["ftp://host", "http://[", "no address"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ServerError):
        OpenAiServer(address, "m").complete(["x"], 1)
