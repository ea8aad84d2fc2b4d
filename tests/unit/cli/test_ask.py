"""``kbsync ask``."""

from __future__ import annotations

from contextlib import closing

import pytest

from kbsync.bootstrap import App
from kbsync.config import load_all
from tests.support.chat_tokenizer import FRAME
from tests.support.cli import Cli
from tests.support.site import Site, with_template


@pytest.mark.slow
def test_ask_shows_base_and_current_side_by_side(cli: Cli) -> None:
    cli.good("sync")
    prompt = "The head of government of Germany is"
    told = cli.good("ask", prompt, "--json").json
    assert [(a["version"], a["number"], a["text"]) for a in told["answers"]] == [
        ("base", 0, " Angela Merkel."),
        ("current", 1, " Olaf Scholz"),
    ]
    assert "current (1)" in cli.good("ask", prompt).out
    assert len(cli.good("ask", prompt, "--version", "1", "--json").json["answers"]) == 1
    assert cli("ask", prompt, "--version", "5").code == 66
    assert cli("ask", prompt, "--version", "newest").code == 2


@pytest.mark.slow
def test_an_instruct_model_is_asked_questions_through_its_template(site: Site) -> None:
    site = with_template(site)
    question, words = "Who leads Norway?", "The leader of Norway is"
    chat = site.good("ask", question, "--version", "base", "--json").json
    plain = site.good("ask", question, "--plain", "--version", "base", "--json").json
    continued = site.good("ask", words, "--version", "base", "--json").json
    assert (chat["asked"], plain["asked"], continued["asked"]) == ("chat", "plain", "plain")
    with closing(App(load_all(site.config), actor="test")) as app:
        prompts = [FRAME.replace("{}", question), question, words]
        expected = app.base.language_model().complete(prompts, max_new_tokens=20)
    assert [told["answers"][0]["text"] for told in (chat, plain, continued)] == expected
    assert expected[0] != expected[1]


def test_always_asks_for_the_rest_of_a_sentence_in_the_chat_too(site: Site) -> None:
    always = with_template(site, more='chat = "always"')
    assert always.good("ask", "Norway is led by", "--version", "base", "--json").json["asked"] == "chat"
