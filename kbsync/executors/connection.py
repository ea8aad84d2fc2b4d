"""The connection of this process to a Ray cluster: made within a bounded time, watched, and ended."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from threading import Thread
from typing import Any

from kbsync.domain.errors import ConfigError, WorkersDown, WorkersRefused
from kbsync.system.log import logger
from kbsync.system.messages import first_line

WORK_HERE = 'Or work here: [executor] kind = "in-process".'
"""The local run, offered with every error."""
_LOOK_SECONDS = 2.0
_LOOKS = 3
_END_SECONDS = 10.0


def require_ray() -> None:
    """Raise ``ConfigError`` where the extra is not installed; nothing is imported."""
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            ['executor.kind is "ray", and Ray is not installed'],
            next_step=f"Install the extra: `pip install 'kbsync[ray]'`. {WORK_HERE}",
        )


class Connection:
    """One cluster, by the address of its head, ``host:port``. A process has at most one."""

    def __init__(self, address: str, timeout: float) -> None:
        """Connect.

        Args:
            timeout: Seconds that it may take.

        Raises:
            ConfigError: Ray is not installed.
            WorkersDown: There is no cluster that answers in time.
            WorkersRefused: The cluster has another version of Ray or Python.
        """
        require_ray()
        self.address = address
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        if not self.head_answers(timeout):
            raise self._down("can't be reached")
        if not _is_loopback(self._host) and os.environ.get("RAY_AUTH_MODE") != "token":
            logger().warning("the cluster asks for no token: whoever reaches it runs code on it", address=address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if not _bounded(self._connect, timeout):
            raise self._down(f"does not answer as a Ray cluster within {timeout:.0f} s")

    def head_answers(self, timeout: float = _LOOK_SECONDS) -> bool:
        """Whether something listens at the head's address. Ray itself waits for a minute, and then ends the process."""
        try:
            socket.create_connection((self._host, self._port), timeout=timeout).close()
        except OSError:
            return False
        return True

    def require_head(self) -> None:
        """Raise ``WorkersDown`` where the head is gone; the connection is ended then."""
        for _ in range(_LOOKS):
            if self.head_answers():
                return
            time.sleep(_LOOK_SECONDS)
        self.close()
        raise self._down("was lost")

    def close(self) -> None:
        """End the connection, which ends the workers; a cluster that is gone is not waited for."""
        import ray

        if ray.is_initialized():
            _bounded(ray.shutdown, _END_SECONDS)

    def _connect(self) -> None:
        import ray

        logging.getLogger("ray").setLevel(logging.ERROR)
        own = self._host != "127.0.0.1" and _is_loopback(self._host)  # Ray takes 127.0.0.1 for another address
        loopback: dict[str, Any] = {"_node_ip_address": self._host} if own else {}
        try:
            ray.init(
                address=self.address,
                log_to_driver=False,
                configure_logging=False,
                include_dashboard=False,
                ignore_reinit_error=True,
                **loopback,
            )
        except RuntimeError as error:  # versions that differ
            raise WorkersRefused(f"The cluster at {self.address} refused: {first_line(error)}") from error
        except Exception as error:  # Ray has many kinds of it
            raise self._down(f"can't be used: {first_line(error).rstrip('.')}") from error

    def _down(self, what: str) -> WorkersDown:
        return WorkersDown(
            f"The Ray cluster at {self.address} {what}.",
            kept="What the workers had finished is stored.",
            next_step="Start it (`ray start --head`, and `ray start --address=…` on this machine if it is another "
            f"one), set the RAY_AUTH_TOKEN that it was started with, if any, and run again. {WORK_HERE}",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bounded(call: Callable[[], object], seconds: float) -> bool:
    """Call in a thread of its own; whether it ended in time. What it raises is raised here."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    return not thread.is_alive()
