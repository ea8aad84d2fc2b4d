"""What kbsync renders is what transformers renders, in a sandbox and on the same day for ever."""

from __future__ import annotations

import pytest

from kbsync.model.chat_template import TemplateFailed, render
from tests.support.chat_tokenizer import TEMPLATE, chat_tokenizer

TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": 'Who leads "Ål & <Co>"?'}]
FEATURES = """\
{%- macro turn(role, text) -%}[{{ role }}] {{ text | trim }}{%- endmacro -%}
{%- set ns = namespace(seen=false) -%}
{%- set extra = dict(a=1, b=[2, 'é<']) -%}
{%- for message in messages -%}
    {%- if message.role == 'system' -%}{%- set ns.seen = true -%}{%- continue -%}{%- endif -%}
    {{ turn(message['role'], message.content) }}
    {%- generation -%}!{%- endgeneration -%}
    {% if loop.last %}{% break %}{% endif %}
{%- endfor %}
{{ extra | tojson }}{{ extra | tojson(indent=2) }}{{ ns.seen }}{{ tools is none }}{{ eos_token }}{{ unknown }}
    {% if add_generation_prompt %}
model:
    {% endif %}"""


@pytest.mark.parametrize("template", [TEMPLATE, FEATURES])
def test_the_text_is_the_one_of_transformers(template: str) -> None:
    tokenizer = chat_tokenizer(template)
    expected = tokenizer.apply_chat_template(TALK, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    assert render(template, TALK, tokenizer.special_tokens_map) == expected


def test_the_date_is_the_same_every_day_and_reasoning_is_off() -> None:
    template = "{{ strftime_now('%d %B %Y') }}{% if enable_thinking is false %}<think></think>{% endif %}"
    assert render(template, TALK, {}) == "01 January 2026<think></think>"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("Hello\n{% for %}", "line 2: "),
        ("Hello\n\n{{ raise_exception('no system role') }}", r"line 3: no system role\.$"),
        ("{{ messages[7].content.strip() }}", "line 1: "),
        ("{{ messages.append(1) }}", "line 1: "),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "line 1: .*unsafe"),
        ("{% set ns = namespace() %}{% set ns.__class__ = 1 %}", "can't hold '__class__'"),
        ("{{ dict.__init__ }}{{ dict.mro() }}", "line 1: "),
        ("{% for i in range(10**9) %}{% endfor %}", "line 1: "),
    ],
)
def test_a_template_that_fails_or_leaves_the_sandbox_is_named_by_its_line(template: str, reason: str) -> None:
    with pytest.raises(TemplateFailed, match=reason):
        render(template, TALK, {})
