"""The pretended device refuses what CUDA refuses, computes what the CPU computes, and counts what a GPU waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from tests.support.families import random_model
from tests.support.pretended_device import DEVICE, Traffic, placed, plain_attention, pretended_device


@pytest.fixture
def traffic() -> Iterator[Traffic]:
    with pretended_device() as counted:
        yield counted


def there(tensor: Tensor) -> Tensor:
    return tensor.to(DEVICE)


MIXED: dict[str, Callable[[Tensor, Tensor], object]] = {
    "add": lambda x, _: x + torch.ones(3),
    "add to the CPU's": lambda x, _: torch.ones(3, 3).add_(x),
    "matmul": lambda x, _: x @ torch.ones(3, 3),
    "linear": lambda x, _: nn.functional.linear(x, torch.ones(3, 3)),
    "cat": lambda x, _: torch.cat([x, torch.ones(3, 3)]),
    "stack of numbers": lambda x, _: torch.stack([x.sum(), torch.tensor(1.0)]),
    "where": lambda x, _: torch.where(torch.ones(3, 3, dtype=torch.bool), x, x),
    "gather": lambda x, i: x.gather(1, i[:, None]),
    "index_select": lambda x, i: x.index_select(0, i),
    "index_add": lambda x, i: x.index_add(0, i, x),
    "index_add to the CPU's": lambda x, i: torch.zeros(3, 3).index_add_(0, i, x),
    "scatter_reduce": lambda x, i: x[0].scatter_reduce(0, i, x[1], "amax"),
    "embedding": lambda x, i: nn.functional.embedding(i, x),
    "the CPU's entries": lambda x, i: torch.ones(3)[there(i)],
    "set to the CPU's": lambda x, i: x.index_put_((i,), torch.ones(3, 3)),
    "a generator": lambda x, _: torch.multinomial(x.exp(), 1, generator=torch.Generator()),
    "numpy": lambda x, _: x.numpy(),
}


@pytest.mark.parametrize("operation", MIXED)
def test_what_mixes_devices_is_refused(operation: str, traffic: Traffic) -> None:
    with pytest.raises((RuntimeError, TypeError), match=r"device|cpu"):
        MIXED[operation](there(torch.ones(3, 3)), torch.tensor([0, 2, 1]))


ALLOWED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "a number": lambda x, _: x * torch.tensor(2.0) + 1,
    "indices": lambda x, i: x[i],
    "a mask": lambda x, i: x[i > 0],
    "indices of two axes": lambda x, i: x[i, i],
    "a list": lambda x, _: x[[2, 0], 1:],
    "set by indices": lambda x, i: x.clone().index_put_((i,), torch.tensor(3.0)),
    "set by a slice": lambda x, _: _changed(x, lambda y: y[:, 1].copy_(torch.arange(3.0))),
    "set to a number": lambda x, _: _changed(x, lambda y: y.__setitem__(0, 5.0)),
    "filled": lambda x, _: x.masked_fill(x > 4, torch.tensor(0.0)),
    "as another": lambda x, i: i.to(x) + torch.zeros(3).type_as(x),
    "norm": lambda x, _: x.norm(dim=-1, keepdim=True),
    "a view that is changed": lambda x, _: _changed(x, lambda y: y.T[0].add_(1)),
    "made there": lambda x, _: x + torch.arange(3, device=x.device) + x.new_zeros(3) + torch.tensor([1.0] * 3).to(x),
    "an output": lambda x, _: torch.mm(x, x, out=torch.empty(3, 3, device=x.device)),
}


def _changed(x: Tensor, change: Callable[[Tensor], object]) -> Tensor:
    copy = x.clone()
    change(copy)
    return copy


@pytest.mark.parametrize("operation", ALLOWED)
def test_the_rest_gives_the_cpus_numbers_on_the_device(operation: str, traffic: Traffic) -> None:
    x, index = torch.arange(9.0).reshape(3, 3), torch.tensor([0, 2, 1])
    found = ALLOWED[operation](there(x), index)
    assert found.device == DEVICE and torch.equal(found.cpu(), ALLOWED[operation](x, index))


COUNTED: dict[str, tuple[Callable[[Tensor], object], int, int]] = {
    "nothing": (lambda x: (x + x).relu() @ x, 0, 0),
    "item": (lambda x: x[0].item(), 1, 0),
    "float": (lambda x: float(x.sum()), 1, 0),
    "bool": (lambda x: bool(x.isfinite().all()), 1, 0),
    "tolist": (lambda x: x.tolist(), 1, 0),
    "cpu": (lambda x: x.cpu(), 1, 0),
    "to": (lambda x: x.to("cpu", torch.float64), 1, 0),
    "copy": (lambda x: torch.zeros(3).copy_(x), 1, 0),
    "nonzero": (lambda x: x.nonzero(), 1, 0),
    "mask": (lambda x: x[x > 1], 1, 0),
    "equal": (lambda x: torch.equal(x, x), 1, 0),
    "there": (lambda x: torch.ones(3).to(x.device), 0, 1),
    "made there": (lambda x: torch.tensor([1, 2], device=x.device), 0, 1),
    "nothing there": (lambda x: torch.tensor([], device=x.device), 0, 0),
    "indices": (lambda x: x[torch.tensor([0])], 0, 1),
    "indices from there": (lambda x: x[torch.arange(2, device=x.device)], 0, 0),
}


@pytest.mark.parametrize("operation", COUNTED)
def test_transfers_are_counted(operation: str, traffic: Traffic) -> None:
    action, to_host, to_device = COUNTED[operation]
    x = there(torch.arange(3.0))
    before = traffic.copy()
    action(x)
    counted = traffic.since(before)
    assert (counted.to_host.total(), counted.to_device.total()) == (to_host, to_device)
    assert counted.waits == to_host + to_device


def test_a_model_goes_there_with_its_tied_weights_and_gives_the_cpus_numbers_and_gradients(traffic: Traffic) -> None:
    ids = torch.tensor([[5, 6, 7, 8]])

    def run(model: nn.Module) -> list[Tensor]:
        logits = model(input_ids=ids.to(next(model.parameters()).device), use_cache=False).logits
        return [logits, *torch.autograd.grad(logits.square().mean(), list(model.parameters()))]

    with plain_attention():
        model = placed(random_model("llama-tied"))
        assert model.device == DEVICE and model.lm_head.weight is model.model.embed_tokens.weight
        own, found = run(random_model("llama-tied")), run(model)
    assert len(own) == len(found) > 10
    assert all(b.device == DEVICE and torch.equal(a, b.cpu()) for a, b in zip(own, found, strict=True))


def test_outside_of_the_block_nothing_is_left_of_it() -> None:
    with pretended_device():
        tensor = there(torch.ones(2))
    with pytest.raises(RuntimeError, match="outside"):
        tensor + tensor
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.ones(2).to(DEVICE)
    plain = nn.Linear(2, 2)
    weight = plain.weight.data_ptr()
    assert plain.to("cpu").weight.data_ptr() == weight and torch.tensor([1.0]).norm() == 1
