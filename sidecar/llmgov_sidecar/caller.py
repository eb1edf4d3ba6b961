"""What follows from a request's head alone, or from it and the configuration: worked out once for equal heads.

Kept with the head (`http1.Head.known`), which requests of one connection share as long as they differ in their body's
length alone. So what an SDK repeats with every request is looked at once in a connection.
"""

from llmgov.instants import Instant
from llmgov.policy import identity
from llmgov.policy.decision import Workload
from llmgov.policy.identity import Identity
from llmgov.wire import route
from llmgov.wire.events import Route
from llmgov_sidecar import headers, http1
from llmgov_sidecar.configuration import Active, Target


class Caller:
    """Who asks for what, as far as the head says it.

    `found` is the route, `coding` what the body is encoded in (`None`: as it is), `patience` how long the client waits
    at most, in microseconds, where its SDK says so.
    """

    __slots__ = (
        "_active",
        "_fields",
        "_headers",
        "_identity",
        "_lines",
        "_model",
        "_strip",
        "_target",
        "coding",
        "found",
        "method",
        "patience",
    )

    def __init__(self, head: http1.Head) -> None:
        self.method = head.method
        self._headers = head.headers
        self._fields = headers.texts(head.headers)
        self.found: Route | route.Unrouted = route.resolve(head.method, head.target, self._fields)
        self.coding = _coding(head)
        self.patience = _patience(head)
        self._active: Active | None = None
        self._identity: Identity | None = None
        self._target: Target | None = None
        self._strip: tuple[str, ...] = ()
        self._model = ""
        self._lines = b""

    def identify(self, active: Active, workload: Workload, body_user: str | None, now: Instant) -> Identity:
        """`identity.identify`, remembered where time and body have no say in it."""
        if self._active is active and self._identity is not None:
            return self._identity
        who = identity.identify(self._fields, body_user, workload, active.runtime, now)
        self._active, self._identity = active, who if who.lasting else None
        return who

    def upstream(self, target: Target, strip: tuple[str, ...], length: int, model: str = "") -> bytes:
        """The head of the request to the provider, for a body of so many bytes.

        `model` is what the provider calls the model that the path alone names, where the client called it otherwise.
        """
        if self._target is not target or self._strip != strip or self._model != model:
            path = self.found.upstream_path
            path = route.naming(path, model) if model else path
            self._lines = headers.upstream(self.method, target, path, self._headers, strip)
            self._target, self._strip, self._model = target, strip, model
        return headers.with_length(self._lines, self.method, length)


def of(head: http1.Head) -> Caller:
    """The caller of a request with this head."""
    caller: Caller | None = head.known.get(Caller)
    if caller is None:
        caller = head.known[Caller] = Caller(head)
    return caller


def _coding(head: http1.Head) -> str | None:
    coding = http1.header(head.headers, b"content-encoding")
    return None if coding is None or coding.lower() == b"identity" else coding.decode("latin-1")


def _patience(head: http1.Head) -> int | None:
    raw = http1.header(head.headers, b"x-stainless-read-timeout")
    try:
        return int(float(raw) * 1_000_000) if raw is not None else None
    except (ValueError, OverflowError):
        return None
