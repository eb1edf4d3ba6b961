"""The traffic file of an example: calls made through the real SDKs, and what is expected of each. Pure.

`llmgov local DIR --once` plays `DIR/traffic.yaml`; the format is documented in docs/local-mode.md. A step makes one
call (or `repeat` of them, `concurrently` where asked), as one workload; its expectation names only what it is about.
"""

import enum
from collections.abc import Iterator
from typing import Any

import msgspec

from llmgov_cli import workload


class Sdk(enum.Enum):
    """Which official SDK makes the call."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Outcome(enum.Enum):
    """What became of a call, as the application sees it."""

    ALLOWED = "allowed"
    REDACTED = "redacted"
    CLAMPED = "clamped"
    THROTTLED = "throttled"
    FLAGGED = "flagged"
    REFUSED = "refused"
    CUT = "cut"
    """A stream that began and was ended by an output filter."""
    FAILED = "failed"
    """Neither the proxy's doing nor a success: the provider's error, or no answer."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Base of the file's parts: a misspelt key is an error, not a check that never runs."""


class Expectation(_Strict, frozen=True):
    """What must hold of a call's result; what is not named is not checked.

    With `repeat`, `counts` says how many calls end how (`{allowed: 3, refused: 1}`), and the rest holds of those that
    are not `allowed`.
    """

    outcome: Outcome | None = None
    counts: dict[Outcome, int] | None = None
    status: int | None = None
    code: str | None = None
    exception: str | None = None
    policy: str | None = None
    message: str | None = None
    text: str | None = None
    not_text: str | None = None


class Step(_Strict, frozen=True):
    """One call. `call` is the SDK's method (`chat.completions.create`), `with_` its arguments.

    `workload` is `namespace/serviceAccount`; `approve` first grants every pending approval, as an administrator would
    with `llmgov approvals approve`.
    """

    name: str
    sdk: Sdk = Sdk.OPENAI
    call: str = "chat.completions.create"
    with_: dict[str, Any] = msgspec.field(default_factory=dict, name="with")
    workload: str = "default/default"
    repeat: int = 1
    concurrently: bool = False
    approve: bool = False
    expect: Expectation = Expectation(outcome=Outcome.ALLOWED)


class Traffic(_Strict, frozen=True):
    """The whole file."""

    steps: tuple[Step, ...]

    def workloads(self) -> tuple[str, ...]:
        """Every workload that a step is played as, in order of appearance."""
        return tuple(dict.fromkeys(step.workload for step in self.steps))


class Result(msgspec.Struct, frozen=True):
    """What the application saw of one call. `seconds` is the time it took; `cost` as the proxy's header gave it."""

    outcome: Outcome
    status: int | None = None
    code: str | None = None
    exception: str | None = None
    policy: str | None = None
    message: str = ""
    text: str = ""
    clamped: str | None = None
    cost: str | None = None
    seconds: float = 0.0


def check(file: Traffic) -> Iterator[tuple[str, str]]:
    """The path and fault of everything that the types cannot say: workloads that are none, expectations of nothing."""
    if not file.steps:
        yield "steps", "has none, so nothing is played; add a step"
    for index, step in enumerate(file.steps):
        if (fault := workload.fault(step.workload)) is not None:
            yield f"steps[{index}].workload", fault
        if step.expect == Expectation():
            yield f"steps[{index}].expect", f"expects nothing, so nothing is checked; add one of {_CHECKS}"
        if step.repeat < 1:
            yield f"steps[{index}].repeat", "must be at least 1"


def unmet(expect: Expectation, results: list[Result]) -> list[str]:
    """Every part of the expectation that the results do not meet, as sentences; empty where all hold."""
    if expect.counts is not None:
        return _unmet_counts(expect, results)
    return [sentence for result in results for sentence in _unmet_one(expect, result)]


def _unmet_counts(expect: Expectation, results: list[Result]) -> list[str]:
    wanted = expect.counts or {}
    seen = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    wrong = [
        f"expected {wanted.get(outcome, 0)} {outcome.value}, saw {seen[outcome]}"
        for outcome in Outcome
        if seen[outcome] != wanted.get(outcome, 0)
    ]
    others = [result for result in results if result.outcome is not Outcome.ALLOWED]
    return wrong + [sentence for result in others for sentence in _unmet_one(expect, result)]


def _unmet_one(expect: Expectation, result: Result) -> list[str]:
    exact = {
        "outcome": (expect.outcome, result.outcome),
        "status": (expect.status, result.status),
        "code": (expect.code, result.code),
        "exception": (expect.exception, result.exception),
        "policy": (expect.policy, result.policy),
    }
    wrong = [
        f"{name}: expected {_show(wanted)}, saw {_show(seen)}"
        for name, (wanted, seen) in exact.items()
        if wanted is not None and wanted != seen
    ]
    if expect.message is not None and expect.message not in result.message:
        wrong.append(f"message: expected to contain {expect.message!r}, saw {result.message!r}")
    if expect.text is not None and expect.text not in result.text:
        wrong.append(f"text: expected to contain {expect.text!r}, saw {result.text!r}")
    if expect.not_text is not None and expect.not_text in result.text:
        wrong.append(f"text: must not contain {expect.not_text!r}")
    return wrong


def _show(value: object) -> str:
    return str(value.value) if isinstance(value, enum.Enum) else repr(value)


_CHECKS = ", ".join(field.encode_name for field in msgspec.structs.fields(Expectation))
