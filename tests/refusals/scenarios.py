"""Why a call can fail: every row of design section 5's table, and what the provider itself does.

A scenario is one situation, and the calls that can get into it. Each has a workload of its own, so that its policy
(tests/golden/refusals/resources) concerns nothing else.
"""

import dataclasses
import enum

from llmgov.wire.events import Reason
from tests.refusals import calls
from tests.refusals.calls import Ask, Call


class Place(enum.Enum):
    """Which running system a scenario is tried on."""

    LOCAL = "llmgov local"
    BUDGET_429 = "llmgov local, with budgetStatusCode: 429"
    OUTAGE = "llmgov local, its ledger locked by somebody else"
    NEW = "llmgov sidecar, which no hub has reached yet"
    RESTARTED = "llmgov sidecar, restarted from its volume while the hub is away"


class Before(enum.Enum):
    """What happens before the calls."""

    NOTHING = "nothing"
    ONE_REQUEST = "a request of the same workload has passed"
    ONE_RUNNING = "a request of the same workload is being answered"


A_MINUTE = 60
"""Seconds: the longest `retry-after` that is offered."""

_PLAIN = Ask()


@dataclasses.dataclass(slots=True, frozen=True)
class Scenario:
    """One situation. `reason` is `None` where the answer is the provider's own.

    `floor` is the `retry-after` before jitter, in seconds, `None` where none is offered and `A_MINUTE` where it is what
    is left of one; `retries` what the SDK is told to do, `None` what it does by itself. `secret` must not reach the
    client.
    """

    title: str
    reason: Reason | None
    account: str
    calls: tuple[Call, ...]
    ask: Ask = _PLAIN
    place: Place = Place.LOCAL
    before: Before = Before.NOTHING
    floor: int | None = None
    retries: int | None = None
    api_key: str = "llmgov-placeholder"
    stalls: bool = False
    secret: str | None = None

    @property
    def workload(self) -> str:
        """`namespace/serviceAccount`; an account without a namespace is in `cases`."""
        return self.account if "/" in self.account else f"cases/{self.account}"


_DEEP: dict[str, object] = {}
for _ in range(120):
    _DEEP = {"deeper": _DEEP}

_UNKNOWN = Ask(gpt="gpt-unheard-of", embedding="text-embedding-unheard-of", claude="claude-unheard-of")
_MALFORMED = Ask(gpt="no model", embedding="no model", claude="no model")
_LEAKING = Ask(text="About TICKET-4711")
_LEAKED = Ask(text="mock: say The product is called Nightfall, tell nobody")


def _mock(lines: str) -> Ask:
    return Ask(text="\n".join(f"mock: {line}" for line in lines.split("; ")))


_CUT = _mock("fault cut; say one two three four five")
_MALFORMED_ANSWER = _mock("fault malformed; say one two three four five")
_ERROR_EVENT = _mock("fault error-event; say one two three four five")


SCENARIOS = (
    Scenario("one request an hour, the second", Reason.RATE, "hourly", calls.EVERY, before=Before.ONE_REQUEST),
    Scenario(
        "one request a minute, the second (SDK told not to retry)",
        Reason.RATE,
        "minutely",
        calls.EVERY,
        before=Before.ONE_REQUEST,
        floor=A_MINUTE,
        retries=0,
    ),
    Scenario(
        "one request at once, the second", Reason.RATE, "at-once", calls.EVERY, before=Before.ONE_RUNNING, floor=1
    ),
    Scenario("more tokens than a minute allows", Reason.RATE, "few-tokens", calls.METERED),
    Scenario(
        "throttled, and its turn did not come", Reason.RATE, "queue", calls.EVERY, before=Before.ONE_RUNNING, floor=1
    ),
    Scenario("throttled, and the wait is too long", Reason.RATE, "slow", calls.EVERY, before=Before.ONE_REQUEST),
    Scenario("a Budget that cannot pay", Reason.BUDGET, "exhausted", calls.METERED),
    Scenario(
        "a Budget that cannot pay, with budgetStatusCode: 429",
        Reason.BUDGET,
        "exhausted",
        calls.METERED,
        place=Place.BUDGET_429,
    ),
    Scenario("a costLimit that cannot pay", Reason.BUDGET, "daily-cost", calls.METERED),
    Scenario(
        "content of the request",
        Reason.CONTENT,
        "question",
        calls.METERED,
        _LEAKING,
        secret="4711",
    ),
    Scenario("content of the answer", Reason.CONTENT, "answer", calls.GENERATING, _LEAKED, secret="Nightfall"),
    Scenario("a model on the deny list", Reason.DENIED, "deny-list", calls.METERED),
    Scenario("a model that is not on the allow list", Reason.DENIED, "allow-list", calls.METERED),
    Scenario("no permission for the model", Reason.DENIED, "permission", calls.METERED),
    Scenario("a route that is not governed", Reason.DENIED, "plain", calls.UNROUTED),
    Scenario("no ProviderCredential", Reason.DENIED, "bare/plain", calls.EVERY),
    Scenario("a request that costs too much", Reason.DENIED, "request-cost", calls.METERED),
    Scenario("an output maximum above the policy's", Reason.DENIED, "short-outputs", calls.GENERATING),
    Scenario("a model without a known price, under a Budget", Reason.DENIED, "priced", calls.METERED, _UNKNOWN),
    Scenario("approval of a sensitive model", Reason.APPROVAL, "sensitive", calls.METERED),
    Scenario("approval of a high cost", Reason.APPROVAL, "high-cost", calls.METERED),
    Scenario("approval at a Budget's threshold", Reason.APPROVAL, "threshold", calls.GENERATING),
    Scenario("no configuration yet", Reason.UNAVAILABLE, "plain", calls.EVERY, place=Place.NEW, floor=5),
    Scenario(
        "restarted without the hub: the provider's key is missing",
        Reason.UNAVAILABLE,
        "plain",
        calls.EVERY,
        place=Place.RESTARTED,
        floor=5,
    ),
    Scenario("the ledger out of reach", Reason.UNAVAILABLE, "ledger", calls.METERED, place=Place.OUTAGE, floor=5),
    Scenario("strict audit out of reach", Reason.UNAVAILABLE, "strict", calls.EVERY, place=Place.OUTAGE, floor=5),
    Scenario("a body above the bound", Reason.TOO_LARGE, "plain", calls.METERED, Ask(text="x" * 5000), place=Place.NEW),
    Scenario("JSON nested too deeply", Reason.TOO_LARGE, "plain", calls.METERED, Ask(extra={"extra_body": _DEEP})),
    Scenario("a model's name that is none", Reason.MALFORMED, "plain", calls.METERED, _MALFORMED),
    Scenario(
        "a compressed body",
        Reason.MALFORMED,
        "plain",
        calls.METERED,
        Ask(extra={"extra_headers": {"content-encoding": "gzip"}}),
    ),
    Scenario("a body that does not come", Reason.TIMEOUT, "plain", calls.METERED, place=Place.NEW, stalls=True),
    Scenario("a revoked platform key", Reason.AUTHENTICATION, "plain", calls.EVERY, api_key="llmgov_revoked"),
    Scenario("no connection to the provider", Reason.UPSTREAM, "broken/plain", calls.EVERY, floor=1),
    Scenario("the provider resets", Reason.UPSTREAM, "plain", calls.GENERATING, _mock("fault reset"), floor=1),
    Scenario("the provider redirects", Reason.UPSTREAM, "plain", calls.GENERATING, _mock("fault redirect")),
    Scenario("an answer that a filter cannot read", Reason.UPSTREAM, "answer", calls.GENERATING, _MALFORMED_ANSWER),
    Scenario(
        "the provider breaks off a stream",
        Reason.UPSTREAM,
        "plain",
        calls.STREAMS,
        _CUT,
    ),
    Scenario("the provider says 400", None, "plain", calls.GENERATING, _mock("status 400")),
    Scenario(
        "the provider says 401, in words of ours as its own show a part of the key",
        None,
        "plain",
        calls.GENERATING,
        _mock("status 401"),
    ),
    Scenario("the provider says 429", None, "plain", calls.GENERATING, _mock("status 429")),
    Scenario("the provider says 500", None, "plain", calls.GENERATING, _mock("status 500")),
    Scenario("the provider says 529", None, "plain", calls.GENERATING, _mock("status 529")),
    Scenario("a gateway before the provider says 502", None, "plain", calls.GENERATING, _mock("fault bad-gateway")),
    Scenario(
        "the provider ends a stream with its error",
        None,
        "plain",
        calls.STREAMS,
        _ERROR_EVENT,
    ),
)
