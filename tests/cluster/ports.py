"""Ports that stay reserved: from the choice until the server listens, and while it is away and comes back.

A port that was free a moment ago may be another's by the time a server asks for it. Here a socket stays bound to it
(never listening), and the server shares it by SO_REUSEPORT; to everybody else it is taken.
"""

import socket

HOST = "127.0.0.1"


class Reserved:
    """Reserved ports of the loopback address."""

    def __init__(self, count: int) -> None:
        self._sockets = [_bound() for _ in range(count)]

    @property
    def ports(self) -> list[int]:
        """The ports, which a server can have with SO_REUSEPORT."""
        return [int(taken.getsockname()[1]) for taken in self._sockets]

    def release(self) -> None:
        """Let them go."""
        for taken in self._sockets:
            taken.close()


def _bound() -> socket.socket:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    taken.bind((HOST, 0))
    return taken
