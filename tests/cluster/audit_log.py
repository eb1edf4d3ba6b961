"""What the API server has written down: who asked for what, and what it answered."""

import dataclasses
import datetime
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

_PATIENCE_SECONDS = 10


@dataclasses.dataclass(frozen=True)
class Request:
    """One request. A watch is there twice: when it starts (`stage` is `ResponseStarted`) and when it has ended."""

    user: str
    """Who asked; whom they acted as, where they impersonated somebody."""

    groups: frozenset[str]
    verb: str
    group: str
    """The API group; `""` for the core's, and for what is no resource."""

    resource: str
    """The plural, with the subresource behind a slash as in a role's rule; `""` for what is no resource."""

    namespace: str
    name: str
    path: str
    code: int
    stage: str
    agent: str
    """The client's `User-Agent`."""

    at: datetime.datetime
    """When the API server received it."""


class AuditLog:
    """The audit log of one API server."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def position(self) -> int:
        """Where the log ends now, for `since`."""
        return self.path.stat().st_size if self.path.exists() else 0

    def requests(self, user: str | None = None, *, since: int = 0) -> list[Request]:
        """What was asked since a position, by one user or by all.

        An entry may follow the answer to its request by a moment: `wait_for` waits for one.
        """
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(since)
            lines = file.read().rpartition(b"\n")[0].splitlines()
        found = [_request(json.loads(line)) for line in lines]
        return [request for request in found if user in (None, request.user)]

    def wait_for(
        self, condition: Callable[[Request], bool], *, user: str | None = None, since: int = 0,
        seconds: float = _PATIENCE_SECONDS,
    ) -> Request:  # fmt: skip
        """The first request for which `condition` holds; raises TimeoutError with what was asked instead."""
        end = time.monotonic() + seconds
        while True:
            requests = self.requests(user, since=since)
            for request in requests:
                if condition(request):
                    return request
            if time.monotonic() > end:
                raise TimeoutError(f"no such request among {requests}")
            time.sleep(0.05)

    def verbs(self, user: str, *, since: int = 0) -> set[tuple[str, str, str]]:
        """What a user needed rights for: (API group, resource, verb), refused ones included."""
        return {
            (request.group, request.resource, request.verb)
            for request in self.requests(user, since=since)
            if request.resource
        }


def _request(event: dict[str, Any]) -> Request:
    reference = event.get("objectRef", {})
    user = event.get("impersonatedUser") or event["user"]
    parts = [reference.get("resource", ""), reference.get("subresource", "")]
    return Request(
        user=user.get("username", ""),
        groups=frozenset(user.get("groups", ())),
        verb=event["verb"],
        group=reference.get("apiGroup", ""),
        resource="/".join(part for part in parts if part),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        path=event["requestURI"],
        code=event.get("responseStatus", {}).get("code", 0),
        stage=event["stage"],
        agent=event.get("userAgent", ""),
        at=datetime.datetime.fromisoformat(event["requestReceivedTimestamp"]),
    )
