"""What the engine says of one request: verdicts as values, each with a machine's reason and a human's sentence."""

import enum

import msgspec

from llmgov.instants import Duration, Instant
from llmgov.money import MicroUsd
from llmgov.snapshot import Account, Approval, Audience, ContentFilter, ModelPrice, Provider
from llmgov.wire.events import Edit, Refusal


class Struct(msgspec.Struct, frozen=True):
    """Base of the values here: immutable."""


class Action(enum.Enum):
    """The six decisions (design section 2), and `FLAG` for what is only put on record."""

    ALLOW = "allow"
    DENY = "deny"
    THROTTLE = "throttle"
    REDACT = "redact"
    CLAMP = "clamp"
    REQUIRE_APPROVAL = "require approval"
    FLAG = "flag"


class Workload(Struct, frozen=True):
    """The pod's identity."""

    namespace: str
    service_account: str
    labels: dict[str, str] = {}
    pod: str = ""

    @property
    def name(self) -> str:
        """`namespace/serviceAccount`, as targets and `per: Workload` count it."""
        return f"{self.namespace}/{self.service_account}"


class Principal(Struct, frozen=True):
    """Who a request is counted for: always the workload, and a user where one is named.

    `verified` says that a token or platform key proved the user; only then do users' accounts exist. `teams` are the
    team of the namespace, then its parents.
    """

    workload: Workload
    user: str | None = None
    verified: bool = False
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


class Violation(Struct, frozen=True):
    """A recorded decision that was not plain allow (also in dry run).

    `reason` is a stable word (`pattern:ssn`, `requests_per_minute`, `model_not_allowed`, `threshold:90`); `path` says
    where in the request; `notify` whom to tell.
    """

    policy: str
    action: Action
    reason: str
    message: str
    dry_run: bool = False
    path: str | None = None
    notify: tuple[Audience, ...] = ()


class Evaluation(Struct, frozen=True):
    """One line of `llmgov explain`: a policy that was looked at, and what came of it."""

    policy: str
    kind: str
    applied: bool
    outcome: str


class Clamp(Struct, frozen=True):
    """A lowered (or first set) output maximum."""

    field: str
    asked: int | None
    value: int
    policy: str


class OutputFilter(Struct, frozen=True):
    """A content filter that also looks at the answer."""

    policy: str
    filter: ContentFilter
    dry_run: bool


class CostPlan(Struct, frozen=True):
    """What to hold and how far the output may be lowered to fit the money.

    `least` is the worst case at `min_output`, the smallest output maximum that may be set; `want` the worst case at
    `max_output`. Between them every output token (times choices) costs `pico_per_output`; the proxy sets the maximum
    that the money held affords (`llmgov.policy.cost.lower`). `field` is where it is set, and `None` where the client's
    own maximum stands (then `least == want`) or there is none to set. `policy` is what lowers `max_output`, or else
    what limits costs; where the money lowers it further, that account is named.
    """

    least: MicroUsd
    want: MicroUsd
    min_output: int
    max_output: int
    base_pico: int
    pico_per_output: int
    price: ModelPrice
    accounts: tuple["Charge", ...]
    field: str | None
    asked: int | None
    policy: str = ""
    cheaper: str = ""
    """What the client could ask for to be bounded at the list price; empty where it is already."""


class Charge(Struct, frozen=True):
    """One limited account that an attempt is charged to; `key` is the account's, with the user of an `eachUser` one.

    `enforced` is false where nothing may be refused for it: dry run, an observing namespace, the kill switch.
    """

    account: Account
    key: str
    enforced: bool = True


class ApprovalRequest(Struct, frozen=True):
    """What a pending approval is asked for: the digest it would cover, why, and by whom."""

    digest: str
    policy: str
    summary: str


class Decision(Struct, frozen=True):
    """The engine's answer about one request, complete before anything is dispatched.

    Exactly one of these holds: `refusal` is set; `throttle_until` lies after `now` (ask nothing again: the place in the
    queue is taken); or the request may go. `edits` apply to the body before dispatch, `output` to the answer. `path` is
    the charging path as target names, for settlement and reports; `policies` are those that apply, each once.
    `rate_keys` are opaque: give them to `State.release` when the request ends, or to `State.cancel` when it is never
    dispatched. Where `queued`, one more request at once is too many: it may go when `State.release` names it, and is
    refused at `throttle_until`. `approval` is the open approval that this request uses up, at the hub, before it is
    dispatched and whatever it may cost; `approval_request` is what to ask for where it needs one that is not open, or
    that turns out to be used. `retries` and `fallback_models` are what a policy allows after a failed attempt; each
    further attempt is decided anew.
    """

    action: Action
    refusal: Refusal | None = None
    throttle_until: Instant | None = None
    edits: tuple[Edit, ...] = ()
    output: tuple[OutputFilter, ...] = ()
    clamp: Clamp | None = None
    plan: CostPlan | None = None
    provider: Provider | None = None
    model: str = ""
    path: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    policies: tuple[str, ...] = ()
    approval_request: ApprovalRequest | None = None
    strict_audit: bool = False
    log_request: bool = False
    retention_days: int | None = None
    rate_headers: tuple[tuple[str, str], ...] = ()
    rate_keys: tuple[str, ...] = ()
    reserved_tokens: int = 0
    max_wait: Duration = 0
    queued: bool = False
    observed: bool = False
    approval: Approval | None = None
    retries: int = 0
    fallback_models: tuple[str, ...] = ()
