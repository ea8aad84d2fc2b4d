"""A real Ray cluster on this machine's loopback: a head without processors, and nodes that may be ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HOST = "127.0.0.2"
"""Ray takes 127.0.0.1 for the machine's own address on its network, and this one for what it is."""
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_local_fs_capacity_threshold": "0.999",
}
"""Nothing is sent home, workers are as important as the tests, and a rather full disk does not matter."""
STORE_BYTES = 80_000_000


class LocalCluster:
    """Ends its own processes by their ids, and nobody else's."""

    def __init__(self, scratch: Path, nodes: int = 2) -> None:
        os.environ |= ENVIRONMENT
        from ray._private.utils import get_ray_address_file
        from ray.cluster_utils import Cluster

        # Ray also writes the address into the common temporary directory, which may be new, whatever temp_dir says.
        Path(get_ray_address_file(None)).parent.mkdir(parents=True, exist_ok=True)
        common = {"node_ip_address": HOST, "object_store_memory": STORE_BYTES}
        self._common = common
        self._cluster: Any = Cluster(
            initialize_head=True,
            head_node_args={**common, "num_cpus": 0, "include_dashboard": False, "temp_dir": str(scratch)},
        )
        self.nodes: list[Any] = [self.add_node() for _ in range(nodes)]

    @property
    def address(self) -> str:
        """Of the head."""
        return str(self._cluster.address)

    def add_node(self) -> Any:
        """Another machine, as far as Ray knows, with one processor."""
        return self._cluster.add_node(num_cpus=1, **self._common)

    def kill_node(self, node: Any) -> None:
        """As if its power failed."""
        self._cluster.remove_node(node, allow_graceful=False)
        self.nodes = [other for other in self.nodes if other is not node]

    def stop_head(self) -> None:
        """End what holds the cluster together."""
        self._cluster.head_node.kill_gcs_server()

    def close(self) -> None:
        """End every process."""
        import ray

        ray.shutdown()
        self._cluster.shutdown()


@contextmanager
def local_cluster(scratch: Path, nodes: int = 2) -> Iterator[LocalCluster]:
    cluster = LocalCluster(scratch, nodes)
    try:
        yield cluster
    finally:
        cluster.close()


def kill(process: int) -> None:
    """End one process at once."""
    os.kill(process, signal.SIGKILL)
