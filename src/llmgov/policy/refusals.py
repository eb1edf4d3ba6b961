"""Every sentence that a refused client reads, once. Pure functions to `wire.events.Refusal`.

A message begins with `llmgov:`, names the policy and, where there is one, the pattern and the JSON path, never the
matched value, and ends in what to do. Which status and shape it takes is the wire format's business.
"""

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.snapshot import Denial, approval_id
from llmgov.wire import refusals as shapes
from llmgov.wire.events import Reason, Refusal

LONGEST_RETRY: Duration = instants.MINUTE
"""What lies further ahead is not worth a client's retry: then none is offered (design section 5)."""

UNAVAILABLE_RETRY = 5
"""Seconds until a client may try again when the control plane is out of reach: the floor, before jitter."""


def no_provider(format_: str, namespace: str) -> Refusal:
    """No credential serves the format that was asked for."""
    return Refusal(
        Reason.DENIED,
        f"llmgov: namespace {namespace} has no ProviderCredential for the {format_} API;"
        " ask your platform team for one",
    )


def bad_model_name() -> Refusal:
    """The request names no model, or one that cannot be a model's name."""
    return Refusal(
        Reason.MALFORMED, "llmgov: model must be 1 to 256 printable characters without spaces", param="model"
    )


def unknown_parts(path: str) -> Refusal:
    """A part of a type that this version does not know, where the settings refuse them."""
    return Refusal(
        Reason.DENIED,
        f"llmgov: {path or 'a field'} is of a type that cannot be checked, and the settings refuse such parts;"
        " leave it out",
        param=path or None,
    )


def model_denied(policy: str, model: str, pattern: str) -> Refusal:
    """The model is on a policy's deny list."""
    return _denied(policy, f"policy {policy} denies model {model} ({pattern}); use another model")


def model_not_allowed(policy: str, model: str, allowed: tuple[str, ...]) -> Refusal:
    """The model is not on a policy's allow list."""
    return _denied(
        policy, f"policy {policy} does not allow model {model}; use one that it allows: {', '.join(allowed)}"
    )


def permission_missing(policy: str, model: str, permissions: tuple[str, ...], user: str | None) -> Refusal:
    """The principal's roles hold none of the permissions for the model."""
    if user:
        who = f"user {user} holds none of them; ask an administrator for a role that does"
    else:
        who = "this request names no verified user; send a token or platform key of one who does"
    return _denied(
        policy, f"policy {policy} requires permission {' or '.join(permissions)} for model {model}, and {who}"
    )


def rate_exceeded(policy: str, limit: int, unit: str, subject: str, wait: Duration | None) -> Refusal:
    """A rate limit that throttling does not cure in time. `wait` is `None` where waiting never helps."""
    retry_after = _seconds(wait) if wait is not None and wait <= LONGEST_RETRY else None
    advice = _advice(wait)
    return Refusal(
        Reason.RATE,
        f"llmgov: policy {policy} limits {subject} to {counted(limit, unit)}; {advice}",
        policy=policy,
        retry_after=retry_after,
    )


def counted(limit: int, unit: str) -> str:
    """A number of a limit's unit (`requests per minute`), one or many."""
    what, _, when = unit.partition(" ")
    return f"{limit} {what.removesuffix('s') if limit == 1 else what} {when}"


def too_many_tokens(policy: str, limit: int, tokens: int, subject: str) -> Refusal:
    """One request that is larger than a token limit by itself."""
    return Refusal(
        Reason.RATE,
        f"llmgov: policy {policy} limits {subject} to {limit} tokens per minute and this request may take {tokens};"
        " send less text or set a lower output maximum",
        policy=policy,
    )


def too_many_users(source: str, most: int) -> Refusal:
    """The user would be one too many for a limit on each user."""
    return _denied(
        source,
        f"{source} counts {most} users in this window already, and the ledger keeps no more;"
        " ask an administrator to raise spec.ledger.maxUsers of GovernanceSettings, or send the request without a user",
    )


def content(policy: str, pattern: str, path: str, *, protected: bool = False) -> Refusal:
    """A content filter found what may not be sent. `protected` text cannot be redacted, so it is blocked."""
    why = "cannot be redacted there, so the request is blocked" if protected else "may not be sent"
    return Refusal(
        Reason.CONTENT,
        f"llmgov: policy {policy} found {pattern} in {in_request(path)}, which {why}; remove it and try again",
        policy=policy,
        param=path or None,
        details={"pattern": pattern, "path": path},
    )


def content_in_answer(policy: str, pattern: str, where: str) -> Refusal:
    """A content filter found what may not come back; the answer is withheld or cut."""
    return Refusal(
        Reason.CONTENT,
        f"llmgov: policy {policy} found {pattern} in {in_answer(where)}; the rest of it is withheld;"
        " ask for an answer without it",
        policy=policy,
        details={"pattern": pattern, "path": where},
    )


def in_request(path: str) -> str:
    """A place in a request, of which a name that nobody knows has none but the whole."""
    return path or "the request"


def in_answer(where: str) -> str:
    """A place in an answer, of which text that is no JSON has none but the whole."""
    return f"the answer ({where})" if where else "the answer"


def approval_required(policy: str, why: str, approval: str | None = None) -> Refusal:
    """The request may go only once somebody approves exactly this request."""
    command = f"llmgov approvals approve {approval}" if approval else "llmgov approvals list"
    return Refusal(
        Reason.APPROVAL,
        f"llmgov: {_source(policy)} requires approval: {why}; ask an approver to run `{command}`, then send it again",
        policy=policy,
    )


def approval_not_asked(policy: str, why: str) -> Refusal:
    """The same of a policy that is not enforced: it only says what it would do."""
    return Refusal(
        Reason.APPROVAL,
        f"llmgov: {_source(policy)} would require approval: {why}; it is not enforced, so nobody is asked",
        policy=policy,
    )


def approval_denied(policy: str, why: str, denial: Denial) -> Refusal:
    """Exactly this request was denied, and is not asked for again until the denial expires."""
    reason = f": {denial.reason}" if denial.reason else " without a reason"
    return Refusal(
        Reason.APPROVAL,
        f"llmgov: {_source(policy)} requires approval: {why}; {denial.id} was denied{reason};"
        f" change the request, or ask again after {instants.to_rfc3339(denial.expires)}",
        policy=policy,
    )


def threshold_approval(source: str, percent: int, limit: str, needed: str, approval: str | None) -> Refusal:
    """A budget's threshold that only an approval opens. The amounts are shown ones (`money.show`, `with_tier`)."""
    why = f"with {needed} for this request, more than {percent} % of {limit} would be spent or held"
    return approval_required(source, why, approval)


def approval_used(policy: str, approval: str) -> Refusal:
    """An approval that an earlier attempt has used up, before this sidecar heard of it; it is asked for anew.

    The attempt may have been this request's own, which the provider answered with an error (decision 0008).
    """
    why = "the approval of exactly this request was used already: it covers one attempt, whether that succeeds or not"
    return approval_required(policy, why, approval)


def budget_exhausted(
    source: str,
    needed: str,
    remaining: str,
    resets: Instant,
    fitting: int | None = None,
    details: dict[str, str] | None = None,
) -> Refusal:
    """An account that cannot pay the request's worst case; `needed` is a shown amount (`money.show`, `with_tier`).

    `remaining` says what is left (`$1.00 left`); `fitting` is the output maximum that this would pay for, `None` where
    not even the smallest would.
    """
    when = instants.to_rfc3339(resets)
    if fitting is not None:
        advice = f"an output maximum of {fitting} tokens would fit (resets {when})"
    else:
        advice = f"raise the budget, or wait until it resets at {when}"
    return Refusal(
        Reason.BUDGET,
        f"llmgov: {_source(source)} has {remaining} and this request may cost {needed}; {advice}",
        policy=source,
        details=details or {},
    )


def with_tier(amount: str, cheaper: str) -> str:
    """A worst case, and why it is above the list price: `cheaper` is what the client would have to ask for to get that.

    A request that names no service tier may be billed at the dearest one that its account can be set to.
    """
    return f"{amount} at the dearest service tier (`{cheaper}` costs less)" if cheaper else amount


def request_too_dear(policy: str, limit: str, cost: str, fitting: int | None = None) -> Refusal:
    """One request whose worst case is above a policy's `maxRequestCost`; both are shown amounts."""
    advice = f"set an output maximum of at most {fitting} tokens" if fitting else "send less or use a cheaper model"
    return _denied(
        policy,
        f"policy {policy} allows {limit} a request and this one may cost {cost}; {advice}",
    )


def output_too_long(policy: str, asked: int, maximum: int, field: str) -> Refusal:
    """The client's output maximum is above the policy's, which forbids clamping."""
    return _denied(
        policy,
        f"policy {policy} allows at most {maximum} output tokens and {field} is {asked}; lower it",
        param=field,
    )


def unknown_price(source: str, model: str) -> Refusal:
    """A model without a known price where money is limited."""
    return _denied(
        source,
        f"model {model} has no known price and {_source(source)} limits costs; use a priced model, or ask for prices on"
        " the ProviderCredential or a fallbackPrice on the costLimit",
    )


def unbounded_cost(source: str, path: str, why: str) -> Refusal:
    """A billable field whose cost nothing bounds where money is limited."""
    return _denied(
        source,
        f"{_source(source)} limits costs and nothing bounds what {path or 'a field'} may cost ({why}); leave it out",
        param=path or None,
    )


def unbounded_request(source: str, why: str) -> Refusal:
    """A request as a whole whose cost nothing bounds where money is limited. `why` ends in what to do, or says it."""
    return _denied(source, f"{_source(source)} limits costs and nothing bounds what this request may cost: {why}")


def model_stopped(source: str, model: str, asking: int = 1) -> Refusal:
    """A model that cost more than its hold, or nobody knows what; under cost limits it waits for an administrator.

    `model` is `provider/model`, which the approval covers and is named by; `asking` counts how often it was stopped.
    """
    command = f"llmgov approvals approve {approval_id(model, asking)}"
    return _denied(
        source,
        f"model {model} is stopped under {_source(source)}, since what it was billed is above its known price or has"
        f" none; use another model, or ask an administrator to look at it and run `{command}`",
    )


def unavailable(what: str, retry_after: int = UNAVAILABLE_RETRY) -> Refusal:
    """No configuration, or the ledger or strict audit out of reach. `what` says which."""
    return Refusal(Reason.UNAVAILABLE, f"llmgov: {what}; try again shortly", retry_after=retry_after)


def upstream_failed(why: str, retry_after: int | None = 1) -> Refusal:
    """The provider gave no answer that could be passed on. `why` is a clause; a retry helps unless it is `None`."""
    advice = "try again" if retry_after else "ask your platform team to check the ProviderCredential"
    return Refusal(Reason.UPSTREAM, f"llmgov: the provider did not answer ({why}); {advice}", retry_after=retry_after)


def answer_unread(policy: str, why: str) -> Refusal:
    """An answer that a content filter cannot look into. `why` is a clause; a retry would be paid for in vain."""
    return Refusal(
        Reason.UPSTREAM,
        f"llmgov: the provider's answer cannot be read ({why}), and policy {policy} filters answers;"
        " ask your platform team to check the ProviderCredential",
        policy=policy,
    )


def key_refused(credential: str) -> Refusal:
    """A provider's 401. Only the words are used, in its own answer, whose own show a part of the key."""
    return Refusal(
        Reason.UPSTREAM,
        f"llmgov: the provider refused the key of ProviderCredential {credential}; ask an administrator to replace it",
    )


def upstream_broke_off(why: str) -> Refusal:
    """The provider's stream ended before its end. `why` is a clause."""
    return Refusal(Reason.UPSTREAM, f"llmgov: the provider's answer broke off ({why}); try again", retry_after=1)


def waited_in_vain(policy: str | None) -> Refusal:
    """A request that was throttled and whose turn did not come in time."""
    source = f"policy {policy}" if policy else "a rate limit"
    return Refusal(
        Reason.RATE,
        f"llmgov: {source} held this request back and its turn did not come in time; try again",
        policy=policy,
        retry_after=1,
    )


def encoded_body(coding: str) -> Refusal:
    """A compressed body, which cannot be checked."""
    return Refusal(
        Reason.MALFORMED,
        f"llmgov: the body is sent with Content-Encoding {coding[:40]}, which cannot be checked; send it as it is",
    )


def unreadable(status: int, why: str) -> Refusal:
    """A message that HTTP's rules or our bounds of size and time do not let become a request. `why` is a clause."""
    match status:
        case 413 | 431:
            return Refusal(Reason.TOO_LARGE, f"llmgov: {why}; send less")
        case 408:
            return Refusal(Reason.TIMEOUT, f"llmgov: {why}; send it again")
        case 503:
            return unavailable(why, 1)
        case _:
            return Refusal(Reason.MALFORMED, f"llmgov: {why}; send plain HTTP/1.1, as the official SDKs do")


def bad_token(why: str) -> Refusal:
    """A token or platform key that proves nobody. `why` repeats no part of it."""
    return Refusal(Reason.AUTHENTICATION, f"llmgov: {why}; get a new one and try again")


def _denied(policy: str, sentence: str, param: str | None = None) -> Refusal:
    return Refusal(Reason.DENIED, f"llmgov: {sentence}", policy=policy, param=param)


def _source(source: str) -> str:
    """What limits money, in a sentence: `policy ns/name`, `Budget/ns/name`."""
    return f"policy {source}" if source.count("/") == 1 else source


def _advice(wait: Duration | None) -> str:
    if wait is None:
        return "try again when a running request has ended"
    return shapes.in_seconds(_seconds(wait))


def _seconds(duration: Duration) -> int:
    return max(1, -(-duration // instants.SECOND))
