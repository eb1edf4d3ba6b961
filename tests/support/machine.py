"""What this machine can do: the only reasons for which a test may be skipped.

A test that needs something says so with `requires("ipv6")`; where the machine lacks it the test is skipped and named at
the end of the run, loudly. In CI a skip for any other reason is an error (see tests/conftest.py).
"""

import socket
from collections.abc import Callable

import pytest

from tests.cluster import binary
from tests.cluster.node import running as node
from tests.support import postgres

REASON = "this machine cannot: "


def _ipv6() -> str | None:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        return f"no IPv6 loopback ({error})"
    return None


_PROBES: dict[str, Callable[[], str | None]] = {
    "ipv6": _ipv6,
    "kubernetes of its own": binary.lacking,
    "kubernetes node of its own": node.lacking,
    "postgres": postgres.lacking,
    "postgres of its own": postgres.lacking_own,
}


def requires(capability: str) -> pytest.MarkDecorator:
    """Skip the test where the machine lacks `capability`; the reason is what its probe found."""
    lack = _PROBES[capability]()
    return pytest.mark.skipif(lack is not None, reason=f"{REASON}{lack}")
