"""``[executor]``: where long work is done."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from kbsync.config.section import Section
from kbsync.config.values import Duration


class ExecutorSettings(Section):
    """Where covariances are measured and target vectors searched, and where the model is probed and evaluated."""

    kind: Literal["in-process", "ray"] = "in-process"
    """``in-process``: in kbsync's own process. ``ray``: on the workers of a Ray cluster (extra ``ray``), with the same
    results."""
    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+:[0-9]{1,5}$")] = "127.0.0.1:6379"
    """Of the cluster's head, ``host:port``. Whoever reaches a cluster runs code on it: it belongs into a network of its
    own."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Largest number of workers; 0: as many as the cluster has room for."""
    worker_cpus: Annotated[int, Field(ge=1)] = 1
    """Processors, and so threads, of each worker. Their number changes the last bits of results."""
    worker_gpus: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of each worker."""
    worker_memory: Annotated[int, Field(ge=0)] = 0
    """Bytes that the cluster reserves for each worker; 0: none."""
    models_dir: str = ""
    """Where workers keep converted models and digests of files; empty: where kbsync itself does."""
    connect_timeout: Duration = timedelta(seconds=30)
    """Longest time that connecting to the cluster may take."""
    task_timeout: Duration = timedelta(hours=1)
    """Longest time of one task, or of loading the base; a worker that takes longer is replaced."""
