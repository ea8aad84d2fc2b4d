"""llama.cpp as a process of its own: ``python -m tests.support.llama_process -m MODEL [--lora FILE] --port N``."""

from __future__ import annotations

import argparse
import signal
import threading


def main() -> None:
    import xllamacpp

    parser = argparse.ArgumentParser()
    parser.add_argument("-m", dest="model", required=True)
    parser.add_argument("--lora")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.port = given.model, given.port
    parameters.n_ctx, parameters.n_parallel = 512, 1
    parameters.warmup, parameters.verbosity = False, 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(given.lora, 1.0)] if given.lora else []
    server = xllamacpp.Server(parameters)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    del server


if __name__ == "__main__":
    main()
