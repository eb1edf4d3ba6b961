"""The cases of `llmgov policy test`: a request, who sends it, when, what was spent so far, and what must be decided.

A file `cases.yaml` (or `NAME.cases.yaml`) stands beside the resources that it is about. docs/policy-test.md describes
the format; a misspelt key is an error, not a check that never runs.
"""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from llmgov import instants
from llmgov.instants import Instant
from llmgov.policy.decision import Action
from llmgov.resources import durations
from llmgov.wire.events import Operation
from llmgov_cli import ownfiles, shapes

DEFAULT_TIME = "2026-01-15T12:00:00Z"
"""When a case happens that does not say; an ordinary Thursday noon, so that windows have a past and a future."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Base of the file's parts."""


class Request(_Strict, frozen=True):
    """What is sent: `body` as the provider's API takes it, or in short a model and a `prompt`.

    `model`, `prompt`, `system`, `max_tokens` and `stream` are written into the body where they are given.
    """

    operation: Operation = Operation.CHAT_COMPLETIONS
    body: dict[str, Any] | None = None
    model: str | None = None
    prompt: str | None = None
    system: str | None = None
    max_tokens: int | None = None
    stream: bool | None = None


class Principal(_Strict, frozen=True):
    """Who sends it. A user is verified unless the case says otherwise; `roles` come on top of those from teams."""

    namespace: str = "default"
    service_account: str = "default"
    labels: dict[str, str] = {}
    user: str | None = None
    verified: bool = True
    roles: tuple[str, ...] = ()


class Earlier(_Strict, frozen=True):
    """The same request was sent `requests` times, `ago` before; `running` ones are not answered yet."""

    requests: int
    ago: str
    running: bool = False


class Expectation(_Strict, frozen=True):
    """What must hold of the decision; what is not named is not checked.

    `reason` is a refusal's (`budget_exceeded`) or a violation's (`pattern:ssn`); `message` and `body` must be contained
    in the refusal's message and in the body that would be sent, `answer` in what the client would get; `violations` are
    reasons that must be among those recorded, dry run included.
    """

    action: Action | None = None
    reason: str | None = None
    policy: str | None = None
    message: str | None = None
    clamp: int | None = None
    body: str | None = None
    not_body: str | None = None
    answer: str | None = None
    not_answer: str | None = None
    violations: tuple[str, ...] = ()


class Situation(_Strict, frozen=True):
    """A request and all that a decision about it depends on.

    `spent` maps a Budget, or a policy with a `costLimit`, by name or `namespace/name`, to what was spent in the present
    window, in its own currency. `approved` says that an administrator granted whatever approval this needs. `answer` is
    text that the provider answers with, for output filters.
    """

    request: Request
    principal: Principal = Principal()
    time: str = DEFAULT_TIME
    spent: dict[str, str] = {}
    approved: bool = False
    answer: str | None = None
    earlier: tuple[Earlier, ...] = ()

    @property
    def now(self) -> Instant:
        """The time.

        Raises:
            ValueError: it is none.
        """
        return instants.from_rfc3339(self.time)


class Case(Situation, frozen=True, kw_only=True):
    """A situation with a sentence for a name, and what must be decided."""

    name: str
    expect: Expectation


class CaseFile(_Strict, frozen=True):
    """A whole file; `resources` are paths beside it, the file's own folder where there are none."""

    cases: tuple[Case, ...]
    resources: tuple[str, ...] = (".",)


class Located(msgspec.Struct, frozen=True):
    """A case and the line it begins in."""

    case: Case
    line: int


def read(file: pathlib.Path) -> tuple[CaseFile, tuple[Located, ...]]:
    """The cases of a file.

    Raises:
        ownfiles.FormatError: it cannot be read, is no YAML, or has a key or value that the format does not know.
    """
    found, document = ownfiles.read(file, CaseFile, _faults)
    return found, tuple(Located(case, document.line(f"cases[{index}]")) for index, case in enumerate(found.cases))


def _faults(file: CaseFile) -> Iterator[shapes.Fault]:
    """What would let a file pass for a check that it is not: no case, a case of nothing, two of one name."""
    if not file.cases:
        yield "cases", "holds no case, so nothing is checked; add one, or remove the file"
    named: dict[str, int] = {}
    for index, case in enumerate(file.cases):
        first = named.setdefault(case.name, index)
        if first != index:
            yield f"cases[{index}].name", f"is the name of cases[{first}] too; give each case a sentence of its own"
        for path, sentence in check(case):
            yield f"cases[{index}].{path}", sentence
        if case.expect == Expectation():
            yield f"cases[{index}].expect", f"expects nothing, so nothing is checked; add one of {_CHECKS}"


def check(situation: Situation) -> Iterator[shapes.Fault]:
    """What the types cannot say: a time or duration that is none, roles of nobody, a request without a body."""
    if not _fits(instants.from_rfc3339, situation.time):
        yield "time", f"must be a time with its zone; write it such as {DEFAULT_TIME}"
    for index, earlier in enumerate(situation.earlier):
        if not _fits(durations.parse, earlier.ago):
            yield f"earlier[{index}].ago", "must be a duration; write it such as 500ms, 5s or 1h30m"
    if situation.principal.roles and situation.principal.user is None:
        yield "principal.roles", "belong to a user; add principal.user"
    if situation.request.body is None and situation.request.model is None:
        yield "request", "needs a body, or a model and a prompt"


def _fits(read_text: Callable[[str], object], text: str) -> bool:
    try:
        read_text(text)
    except ValueError:
        return False
    return True


_CHECKS = ", ".join(field.encode_name for field in msgspec.structs.fields(Expectation))
