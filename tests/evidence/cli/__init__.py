"""``python -m tests.evidence``: one command for each measurement that this project's own evidence consists of."""

from __future__ import annotations

from kbsync.cli.command import Verb
from tests.evidence.cli.engines import engines
from tests.evidence.cli.families import families
from tests.evidence.cli.gpu import gpu
from tests.evidence.cli.hardening import hardening
from tests.evidence.cli.house import house
from tests.evidence.cli.images import images
from tests.evidence.cli.load import ledger, pull
from tests.evidence.cli.own_model import own_model
from tests.evidence.cli.reference_data import demo_check, large
from tests.evidence.cli.scale import scale_offload, scale_plan
from tests.evidence.cli.serving import serving
from tests.evidence.cli.serving_large import serving_large
from tests.evidence.cli.serving_pressed import serving_pressed
from tests.evidence.cli.serving_vllm import serving_vllm
from tests.evidence.cli.speed import speed
from tests.evidence.cli.trials import contention, crash, newcomer, sabotage, soak

PROGRAM = "python -m tests.evidence"
SUMMARY = f"""Measure kbsync itself, for the figures that its documentation shows.

Each command writes one JSON file below docs/results: what was measured, on which machine, with which seed, and which
demands hold. `make docs` generates the documentation's tables from these files.

\\b
Example:
  {PROGRAM} contention --seconds 5 --output /tmp/contention.json
"""
VERBS: tuple[Verb, ...] = (
    pull,
    ledger,
    speed,
    large,
    demo_check,
    soak,
    sabotage,
    crash,
    contention,
    engines,
    families,
    hardening,
    newcomer,
    own_model,
    serving,
    serving_vllm,
    serving_pressed,
    serving_large,
    house,
    images,
    scale_plan,
    scale_offload,
    gpu,
)
