"""Slows down whoever guesses tokens: limits how often each network may offer a wrong one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from ipaddress import ip_address, ip_network

FREE = 10
"""Number of wrong tokens that a network may offer without a pause, because people mistype."""
INTERVAL = 1.0
"""Seconds between two further tokens."""
HELD = "kbsync.held"
"""Key in the request's scope: the answer to this request is delayed."""
MOST_NETWORKS = 10_000
"""Number of networks that are remembered; beyond it, the one whose last wrong token is oldest is forgotten."""


class Brake:
    """Counts wrong tokens by network. While a network is braked, no token from it is compared, not even the right one:
    otherwise the time of an answer would tell whether a guess was right."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Start without any wrong token; ``now`` is a monotonic clock in seconds."""
        self._now = now
        self._lock = threading.Lock()
        self._clear_at: dict[str, float] = {}
        """By network, when an ``INTERVAL`` has passed for each of its wrong tokens."""

    def wait(self, network: str) -> float:
        """Seconds until the next token from ``network`` is compared; 0: it is compared now."""
        with self._lock:
            return max(0.0, self._clear_at.get(network, 0.0) - self._now() - (FREE - 1) * INTERVAL)

    def wrong(self, network: str) -> None:
        """Count a wrong token from ``network``."""
        with self._lock:
            now = self._now()
            self._clear_at[network] = max(self._clear_at.pop(network, now), now) + INTERVAL
            if len(self._clear_at) > MOST_NETWORKS:
                del self._clear_at[next(iter(self._clear_at))]


def network_of(host: str | None) -> str:
    """The network of an address, as large as one person may own: a ``/24``, a ``/64``, or this machine."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return "unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return "this machine"
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))
