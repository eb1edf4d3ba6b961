"""Everything about a sidecar that can be set, in one place: each with its default, its unit and the reason.

From the environment: `LLMGOV_` and the upper-case name (`LLMGOV_PORT`). What policies decide is not here.
"""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import msgspec

from llmgov_sidecar import http1, server, upstream
from llmgov_sidecar.calls import Waits

PREFIX = "LLMGOV_"


class SettingsError(ValueError):
    """A variable that cannot be read; the message names it and says what it takes."""


class Settings(msgspec.Struct, frozen=True):
    """One sidecar's settings."""

    namespace: str = "default"
    """The pod's namespace (downward API)."""
    service_account: str = "default"
    """The pod's ServiceAccount (downward API)."""
    pod: str = ""
    """The pod's UID: who leases belong to. Empty: the host's name, which is the pod's name in a cluster."""
    host: str = "127.0.0.1"
    """Where the proxy listens: loopback, since only the pod's own containers are governed by it."""
    port: int = 4010
    """The proxy's port; 0 takes a free one."""
    admin_host: str = "0.0.0.0"  # noqa: S104 - kubelet and Prometheus come from outside the pod
    """Where probes and metrics are served: the pod's address."""
    admin_port: int = 4011
    """The port of probes and metrics; -1 serves none."""
    volume: pathlib.Path = pathlib.Path("/var/lib/llmgov")
    """The folder of spool and last good snapshot: on disk, never `medium: Memory`, and kept for the pod's life."""
    spool_segment_bytes: int = 4 * 1024 * 1024
    """Size of one spool segment: what is trimmed at once."""
    spool_bytes: int = 64 * 1024 * 1024
    """Size of the whole spool, below the volume's `sizeLimit`: some 90,000 requests while the hub is away."""
    body_bytes: int = 32 * 1024 * 1024
    """Largest request body: providers take about as much, and it is held in memory."""
    answer_bytes: int = 64 * 1024 * 1024
    """Largest answer that is not streamed: its usage stands at its end, so it is held in memory."""
    head_bytes: int = 32 * 1024
    """Largest request head."""
    headers: int = 100
    """Most headers of a request."""
    connections: int = 1024
    """Most client connections at once."""
    head_seconds: float = 10.0
    """Time for a request's head: a client on loopback that needs longer is broken."""
    body_seconds: float = 60.0
    """Time for a request's body."""
    idle_seconds: float = 75.0
    """How long a connection stays open between requests: longer than SDKs keep theirs, so that they close first."""
    connect_seconds: float = 5.0
    """Time to connect to a provider, TLS included."""
    first_byte_seconds: float = 600.0
    """Time until a provider's answer begins: what the SDKs wait by default."""
    between_bytes_seconds: float = 300.0
    """Longest silence within a provider's answer."""
    upstream_idle_seconds: float = 20.0
    """How long a provider's connection is kept: shorter than providers keep theirs, so that we close first."""
    lease_seconds: float = 10.0
    """How long a request waits for money; then 503."""
    strict_seconds: float = 2.0
    """How long a request waits for its intent to be durable under strict audit; then 503."""
    learn_seconds: float = 30.0
    """How long an answer is still read after its client has left, to learn the usage; then the hold is charged."""
    drain_seconds: float = 25.0
    """How long requests under way may take to end after SIGTERM: below Kubernetes' grace period of 30 s."""
    register_seconds: float = 5.0
    """How long the start waits for the hub before it serves without."""

    @property
    def holder(self) -> str:
        """Who this sidecar's leases belong to."""
        return self.pod or os.uname().nodename

    def bounds(self) -> server.Bounds:
        """The listener's bounds."""
        shortest = min(self.head_seconds, self.body_seconds, self.idle_seconds)
        return server.Bounds(
            message=http1.Limits(head=self.head_bytes, headers=self.headers, body=self.body_bytes),
            connections=self.connections,
            head_seconds=self.head_seconds,
            body_seconds=self.body_seconds,
            idle_seconds=self.idle_seconds,
            sweep_seconds=min(0.5, shortest / 4),
        )

    def times(self) -> upstream.Times:
        """The pool's times."""
        return upstream.Times(
            connect=self.connect_seconds,
            first_byte=self.first_byte_seconds,
            between_bytes=self.between_bytes_seconds,
            idle=self.upstream_idle_seconds,
            sweep=min(0.5, self.between_bytes_seconds / 4, self.first_byte_seconds / 4),
        )

    def waits(self) -> Waits:
        """The waits at the hub."""
        return Waits(lease=self.lease_seconds, strict=self.strict_seconds)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Settings from `LLMGOV_*` variables; others with that prefix are an error, since a typing mistake loosens.

    Raises:
        SettingsError: an unknown variable, or a value that is not of its kind.
    """
    names = {PREFIX + field.upper(): field for field in Settings.__struct_fields__}
    given: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX):
            continue
        if variable not in names:
            raise SettingsError(f"{variable} is no setting of the sidecar; there are {', '.join(sorted(names))}")
        given[names[variable]] = text
    try:
        return msgspec.convert(given, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{PREFIX}*: {error}") from error


def _path(kind: type[Any], value: Any) -> Any:
    if kind is pathlib.Path:
        return pathlib.Path(value)
    raise NotImplementedError(kind)
