"""The check of kind `rateLimit`: how often, how many tokens, how many at once.

`check` only looks; `commit` counts. So a request that another check refuses uses up nobody's quota, and one that
several limits concern is counted in all of them or in none. Every policy counts for itself, a dry run too.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import msgspec

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.policy import refusals
from llmgov.policy import verdict as verdicts
from llmgov.policy.decision import Action
from llmgov.policy.limits import Limit
from llmgov.policy.rules import Rule
from llmgov.policy.state import State
from llmgov.policy.verdict import Verdict
from llmgov.policy.window import Window
from llmgov.snapshot import OnExceed, RateLimit
from llmgov.wire.events import Refusal

_HEADERS = {
    name: tuple(f"x-ratelimit-{what}-{name}" for what in ("limit", "remaining", "reset"))
    for name in ("requests", "tokens")
}


class Admission(msgspec.Struct, frozen=True):
    """When a request may go, and what it will count in. `queued` requests wait for another to end, until `at`.

    `windows` are those of the limits that were checked, in their order.
    """

    verdict: Verdict
    limits: tuple[Limit, ...]
    windows: Sequence[Window | None]
    tokens: int
    at: Instant
    queued: bool = False
    max_wait: Duration = 0


@dataclasses.dataclass(slots=True, frozen=True)
class _Finding:
    """The limit of one rule that holds a request back longest. `slot` is `None` where no time is known for its end."""

    limit: Limit
    slot: Instant | None


def within(rules: Sequence[Rule[RateLimit]]) -> Verdict:
    """What is said of a request that nothing holds back."""
    return verdicts.passing(rules, "within its limits")


def check(
    limits: tuple[Limit, ...],
    tokens: int,
    state: State,
    now: Instant,
    patience: Duration | None,
    unopposed: Verdict,
) -> Admission:
    """Whether, and when, a request of so many tokens may go. Counts nothing.

    `patience` is how long the client waits for an answer: no throttling outlasts it. `unopposed` is `within` of the
    limits' rules.
    """
    windows = state.windows(limits)
    if not _held_back(limits, windows, tokens, state, now):
        return Admission(unopposed, limits, windows, tokens, now)
    verdict = Verdict()
    counted: list[Limit] = []
    at, queued, max_wait = now, False, 0
    findings = {rule.id: (rule, own, _worst(own, tokens, state, now)) for rule, own in _by_rule(limits)}
    earliest = _latest([found for rule, _, found in findings.values() if rule.acts and found], now)
    for rule, own, found in findings.values():
        wait = _patience(rule, patience)
        target = earliest if rule.acts else _latest([found] if found else [], now)
        waits = found is not None and _waits(rule, found, target - now, wait, tokens)
        if found is None:
            verdict.passed(rule, "within its limits")
        elif waits:
            verdict.note(rule, Action.THROTTLE, found.limit.kind, _throttled(found.limit, target - now))
        else:
            verdict.refuse(rule, found.limit.kind, _refusal(found, target, tokens, now))
        if rule.acts and found is not None and waits:
            queued |= not found.limit.length
            at = max(at, target)
            max_wait = min(max_wait or wait, wait)
        if rule.acts or found is None or (waits and found.slot is not None):
            counted.extend(own)
    return Admission(verdict, tuple(counted), windows, tokens, now + max_wait if queued else at, queued, max_wait)


def commit(admission: Admission, state: State) -> tuple[str, ...]:
    """Count an admitted request, or take its place in the queue; the keys end it."""
    if not admission.limits:
        return ()
    if admission.queued:
        return (state.enqueue(admission.limits, admission.tokens, admission.at),)
    windows = admission.windows if len(admission.windows) == len(admission.limits) else None
    return (state.admit(admission.limits, admission.tokens, admission.at, windows),)


def headers(limits: tuple[Limit, ...], windows: Sequence[Window | None], now: Instant) -> tuple[tuple[str, str], ...]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of the enforced limit with the least left."""
    least: dict[str, tuple[int, Limit, Window]] = {}
    for limit, window in zip(limits, windows, strict=True):
        if window is None or not limit.rule.acts:
            continue
        name = "tokens" if limit.counts_tokens else "requests"
        remaining = max(0, limit.limit - window.total)
        if name not in least or remaining < least[name][0]:
            least[name] = remaining, limit, window
    found: list[tuple[str, str]] = []
    for name, (remaining, limit, window) in least.items():
        names = _HEADERS[name]
        found.append((names[0], str(limit.limit)))
        found.append((names[1], str(remaining)))
        found.append((names[2], duration(window.idle(limit.length, now))))
    return tuple(found)


def duration(amount: Duration) -> str:
    """A duration as these headers show it: `6m0s`, `1.5s`, `20ms`."""
    if amount < instants.SECOND:
        return f"{-(-amount // instants.MILLISECOND)}ms"
    minutes, rest = divmod(-(-amount // instants.MILLISECOND), 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 1000:g}s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + seconds


def _held_back(
    limits: tuple[Limit, ...], windows: Sequence[Window | None], tokens: int, state: State, now: Instant
) -> bool:
    for limit, window in zip(limits, windows, strict=True):
        if window is None:
            if state.full(limit):
                return True
        elif window.slot(tokens if limit.counts_tokens else 1, limit.limit, limit.length, now) != now:
            return True
    return False


def _by_rule(limits: tuple[Limit, ...]) -> list[tuple[Rule[RateLimit], tuple[Limit, ...]]]:
    groups = itertools.groupby(limits, key=lambda limit: limit.rule.id)
    return [(own[0].rule, own) for own in (tuple(group) for _, group in groups)]


def _worst(limits: tuple[Limit, ...], tokens: int, state: State, now: Instant) -> _Finding | None:
    """What holds a request back longest: a size that never fits, then requests at once, then the latest slot."""
    worst: _Finding | None = None
    for limit in limits:
        if not limit.length:
            if state.full(limit):
                return _Finding(limit, None)
            continue
        slot = state.slot(limit, tokens, now)
        if slot is None:
            return _Finding(limit, None)
        if slot > now and (worst is None or worst.slot is None or slot > worst.slot):
            worst = _Finding(limit, slot)
    return worst


def _latest(findings: list[_Finding], now: Instant) -> Instant:
    return max((found.slot for found in findings if found.slot is not None), default=now)


def _patience(rule: Rule[RateLimit], patience: Duration | None) -> Duration:
    if rule.body.on_exceed is OnExceed.BLOCK:
        return 0
    return rule.body.max_wait if patience is None else min(rule.body.max_wait, patience)


def _waits(rule: Rule[RateLimit], found: _Finding, needed: Duration, wait: Duration, tokens: int) -> bool:
    if found.slot is None and found.limit.amount(tokens) > found.limit.limit:
        return False
    return rule.body.on_exceed is OnExceed.THROTTLE and wait > 0 and needed <= wait


def _throttled(limit: Limit, wait: Duration) -> str:
    until = f"for {duration(wait)}" if limit.length else "until a running request ends"
    counted = refusals.counted(limit.limit, limit.unit)
    return f"llmgov: policy {limit.rule.id} limits {limit.subject} to {counted}; held back {until}"


def _refusal(found: _Finding, target: Instant, tokens: int, now: Instant) -> Refusal:
    limit = found.limit
    if limit.length and found.slot is None:
        return refusals.too_many_tokens(limit.rule.id, limit.limit, tokens, limit.subject)
    wait = target - now if limit.length else instants.SECOND
    return refusals.rate_exceeded(limit.rule.id, limit.limit, limit.unit, limit.subject, wait)
