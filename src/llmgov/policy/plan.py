"""What applies to the requests of one principal for one model: all that follows from these alone."""

import dataclasses

from llmgov.money import MicroUsd
from llmgov.policy.decision import Charge, Evaluation, OutputFilter, Violation
from llmgov.policy.duties import Duties
from llmgov.policy.limits import Limit
from llmgov.policy.rules import Rule
from llmgov.policy.scanner import Scanner
from llmgov.policy.terms import Terms
from llmgov.policy.verdict import Verdict
from llmgov.prices import bound
from llmgov.snapshot import Compliance, ContentFilter, CostLimit, ModelPrice, Provider


@dataclasses.dataclass(slots=True, frozen=True)
class Unopposed:
    """What is said of a metered request that no check objects to: link by link, and all in all.

    `verdicts` are the links' own objects, in the chain's order, beginning with that of model access; `evaluations`,
    `policies` and `violations` are what a decision then says.
    """

    rates: Verdict
    contents: Verdict
    costs: Verdict
    compliance: Verdict
    verdicts: list[Verdict]
    evaluations: tuple[Evaluation, ...]
    policies: tuple[str, ...]
    violations: tuple[Violation, ...]


@dataclasses.dataclass(slots=True, frozen=True)
class Plan:
    """Remembered, so that a request pays for none of it.

    `kind` is the provider's (`openai`), empty where none serves the request. `asked` is the client's name of the model,
    `model` what it is after aliases; each tuple of rules is in order of priority; `plain` are the price's terms for
    plain requests, and `unapproved` is what a request may cost without an approval (`compliance.unapproved`); `path`
    names the targets that the request is counted for, nearest first.
    """

    provider: Provider | None
    kind: str
    asked: str
    model: str
    price: ModelPrice | None
    plain: bound.Plain | None
    access: Verdict
    retries: int
    fallback_models: tuple[str, ...]
    limits: tuple[Limit, ...]
    filters: tuple[Rule[ContentFilter], ...]
    finder: Scanner
    output: tuple[OutputFilter, ...]
    compliance: tuple[Rule[Compliance], ...]
    unapproved: MicroUsd | None
    duties: Duties
    costs: tuple[Rule[CostLimit], ...]
    charges: tuple[Charge, ...]
    terms: Terms
    path: tuple[str, ...]
    skipped: tuple[Evaluation, ...]
    unopposed: Unopposed
