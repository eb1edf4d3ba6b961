"""Probes and metrics, on a port of their own that the pod's containers and the cluster may reach."""

from collections.abc import Callable, Sequence
from typing import Final

from llmgov_sidecar import http1, server
from llmgov_sidecar.metrics import Metrics

_TEXT: Final = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"


class Admin:
    """The application of the admin listener. `ready` says whether the proxy's listener lives, `failing` what does not
    work behind it: told, and no reason to take the pod out of service, which serves as long as it may."""

    def __init__(
        self,
        metrics: Metrics,
        ready: Callable[[], bool],
        failing: Callable[[], Sequence[str]],
        refresh: Callable[[], None],
    ) -> None:
        self._metrics = metrics
        self._ready = ready
        self._failing = failing
        self._refresh = refresh

    async def serve(self, exchange: server.Exchange) -> None:
        """Answer one probe or scrape."""
        match exchange.head.method, exchange.head.target.partition("?")[0]:
            case "GET" | "HEAD", "/livez":
                exchange.respond(200, _TEXT, b"ok\n")
            case "GET" | "HEAD", "/readyz" if self._ready():
                exchange.respond(
                    200, _TEXT, "\n".join(["ok", *map("failing: {}".format, self._failing()), ""]).encode()
                )
            case "GET" | "HEAD", "/readyz":
                exchange.respond(503, _TEXT, b"the proxy does not listen\n")
            case "GET" | "HEAD", "/metrics":
                self._refresh()
                exchange.respond(200, _TEXT, self._metrics.render())
            case _:
                exchange.respond(404, _TEXT, b"there are /livez, /readyz and /metrics\n")

    def fault(self, head: http1.Head | None, fault: http1.MessageError) -> server.Answer:  # noqa: ARG002 - an Application
        """The answer to a message that breaks the rules."""
        return server.Answer(fault.status, _TEXT, fault.words.encode() + b"\n")
