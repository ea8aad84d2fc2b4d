"""The attribute lens."""

from __future__ import annotations

from kbsync.editing.relations.few_shot import asked
from kbsync.editing.relations.lens import seen
from kbsync.editing.relations.linear import LinearRelation
from kbsync.editing.relations.states import jacobians, read_states
from kbsync.model.decoder import discover
from tests.support.random_models import random_model


def test_it_sees_in_the_state_what_the_model_says_where_the_map_is_exact() -> None:
    model, tokenizer = random_model("llama")
    decoder = discover(model)
    layer = len(decoder.layers) - 2
    for name in ("iron", "São Paulo"):
        prompt = asked(tokenizer, "The river of {} is called", [], name)
        states = read_states(decoder, [prompt], [layer])
        weight = jacobians(decoder, prompt, [layer])[layer].double()
        bias = states.objects[0].double() - weight @ states.subjects[layer][0].double()
        (row,) = seen(decoder, tokenizer, LinearRelation(layer, weight, bias), 1.0, [prompt], top=2)
        assert row[0][0] == int(states.said[0])
        assert len(row) == 2 and row[0][1] == str(tokenizer.decode([row[0][0]])).strip()
