"""What applies to the requests of one principal for one model: all that follows from these alone."""

import dataclasses

from llmgov.policy.decision import Charge, Evaluation, OutputFilter
from llmgov.policy.duties import Duties
from llmgov.policy.limits import Limit
from llmgov.policy.rules import Rule
from llmgov.policy.scanner import Scanner
from llmgov.policy.terms import Terms
from llmgov.policy.verdict import Verdict
from llmgov.snapshot import Compliance, ContentFilter, CostLimit, ModelPrice, Provider


@dataclasses.dataclass(slots=True, frozen=True)
class Plan:
    """Remembered, so that a request pays for none of it.

    `kind` is the provider's (`openai`), empty where none serves the request. `asked` is the client's name of the model,
    `model` what it is after aliases; each tuple of rules is in order of priority; `within` and `clean` are what rate
    limits and content filters say of a request that none of them objects to; `path` names the targets that the
    request is counted for, nearest first.
    """

    provider: Provider | None
    kind: str
    asked: str
    model: str
    price: ModelPrice | None
    access: Verdict
    retries: int
    fallback_models: tuple[str, ...]
    limits: tuple[Limit, ...]
    within: Verdict
    filters: tuple[Rule[ContentFilter], ...]
    finder: Scanner
    clean: Verdict
    output: tuple[OutputFilter, ...]
    compliance: tuple[Rule[Compliance], ...]
    duties: Duties
    costs: tuple[Rule[CostLimit], ...]
    charges: tuple[Charge, ...]
    terms: Terms
    path: tuple[str, ...]
    skipped: tuple[Evaluation, ...]
