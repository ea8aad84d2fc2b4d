"""The brake on guessing: how often wrong tokens are looked at, for each network that they come from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from ipaddress import ip_address, ip_network

FREE = 10
"""So many wrong tokens are looked at at once, because people mistype."""
INTERVAL = 1.0
"""After that, one in so many seconds."""
HELD = "kbsync.held"
"""Key of the request's scope that is set while its answer is held back."""
MOST_NETWORKS = 10_000
"""So many are remembered; the one that was wrong longest ago is forgotten."""


class Brake:
    """Counts wrong tokens by network. While a network is braked, its tokens are not looked at, not even right ones:
    else a guess could be told by how fast it is answered."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Nobody is braked yet; ``now`` gives seconds that only grow."""
        self._now = now
        self._lock = threading.Lock()
        self._clear_at: dict[str, float] = {}
        """When a network will have paid for all its wrong tokens, an ``INTERVAL`` each."""

    def wait(self, network: str) -> float:
        """Seconds until a token from there is looked at; 0: it is now."""
        with self._lock:
            return max(0.0, self._clear_at.get(network, 0.0) - self._now() - (FREE - 1) * INTERVAL)

    def wrong(self, network: str) -> None:
        """A token from there was wrong."""
        with self._lock:
            now = self._now()
            self._clear_at[network] = max(self._clear_at.pop(network, now), now) + INTERVAL
            if len(self._clear_at) > MOST_NETWORKS:
                del self._clear_at[next(iter(self._clear_at))]


def network_of(host: str | None) -> str:
    """The network that one person can have a whole of: ``/24``, ``/64``, or this machine."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return "unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return "this machine"
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))
