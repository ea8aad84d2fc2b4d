"""A real llama.cpp server in this process (the package xllamacpp), and what it answers."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def llama_server(
    model: Path, adapters: Sequence[Path] = (), context: int = 512, scales: Sequence[float] = (), parallel: int = 1
) -> Iterator[str]:
    """Yield the address of a server with one thread; the test is skipped where xllamacpp is not installed.

    Args:
        model: A GGUF file.
        adapters: GGUF files of adapters.
        context: Tokens of prompt and answer.
        scales: One for each adapter; empty: 1.
        parallel: Requests that are answered together.
    """
    xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp, the llama.cpp server, is not installed")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.n_ctx, parameters.n_parallel = context * parallel, parallel
    parameters.warmup, parameters.verbosity = False, 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.lora_adapters = [
        xllamacpp.CommonAdapterLoraInfo(str(path), scale)
        for path, scale in zip(adapters, scales or [1.0] * len(adapters), strict=True)
    ]
    server = xllamacpp.Server(parameters)
    try:
        yield server.listening_address
    finally:
        del server


def post(url: str, path: str, body: Any) -> Any:
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read())


def completion(url: str, prompt: str, tokens: int = 8) -> str:
    """A greedy completion."""
    body = {"prompt": prompt, "max_tokens": tokens, "temperature": 0}
    return str(post(url, "/v1/completions", body)["choices"][0]["text"])


def first_logprobs(url: str, prompt: str, count: int = 50) -> dict[int, float]:
    """Log-probabilities of the likeliest first tokens, by token; the likeliest must be a whole character."""
    body = {"prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": count}
    top = post(url, "/v1/completions", body)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return {entry["id"]: entry["logprob"] for entry in top}
