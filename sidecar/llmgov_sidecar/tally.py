"""What requests came to, gathered and then counted into the metrics together: when somebody asks, or there is much.

Counting is a little work in many places; done for each request in between everything else, it costs several times what
it does for a few hundred in a row.
"""

from typing import Final

import msgspec

from llmgov.ledger.messages import Settlement, Subject
from llmgov.policy.decision import Evaluation
from llmgov_sidecar.metrics import Metrics

GATHERED: Final = 256
"""How much is gathered at most."""

NO_OPERATION: Final = "none"


class Ended(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request that was answered, as its line in the log says it; `operation` is `none` where it never said what it
    asks for. `policies` are those that applied, where compliance asks for a log of all requests."""

    request_id: str
    operation: str
    provider: str
    model: str
    user: str | None
    status: int
    decision: str
    duration_us: int
    cost_microusd: int
    attempts: int
    client_left: bool = False
    policies: tuple[str, ...] = ()


class _Looked(msgspec.Struct):
    evaluations: tuple[Evaluation, ...]
    amount: int = 1


class Tally:
    """Gathers for one sidecar's metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._ended: list[tuple[Ended, int]] = []
        self._settled: list[tuple[Settlement, Subject]] = []
        self._evaluations: dict[int, _Looked] = {}

    def ended(self, ended: Ended, size: int) -> None:
        """A request was answered with so many bytes."""
        self._ended.append((ended, size))
        if len(self._ended) >= GATHERED:
            self.count()

    def settled(self, settlement: Settlement, subject: Subject) -> None:
        """An attempt ended."""
        self._settled.append((settlement, subject))
        if len(self._settled) >= GATHERED:
            self.count()

    def evaluated(self, evaluations: tuple[Evaluation, ...]) -> None:
        """Policies were looked at. Most requests have one and the same tuple, which is told by its identity: it is
        kept here, so that no other takes its place."""
        known = self._evaluations.get(id(evaluations))
        if known is not None:
            known.amount += 1
            return
        self._evaluations[id(evaluations)] = _Looked(evaluations)
        if len(self._evaluations) >= GATHERED:
            self.count()

    def count(self) -> None:
        """Bring the metrics up to date."""
        for ended, size in self._ended:
            self._count_ended(ended, size)
        for settlement, subject in self._settled:
            self._metrics.outcomes.add(settlement.outcome.value)
            self._metrics.llm_cost.observe(settlement.cost, subject.provider, subject.model)
        for looked in self._evaluations.values():
            self._count_evaluations(looked.evaluations, looked.amount)
        self._ended.clear()
        self._settled.clear()
        self._evaluations.clear()

    def _count_ended(self, ended: Ended, size: int) -> None:
        metrics, operation = self._metrics, ended.operation
        metrics.http_requests.add(operation, str(ended.status))
        metrics.http_duration.observe(ended.duration_us, operation)
        metrics.http_size.observe(size, operation)
        if operation != NO_OPERATION:
            metrics.llm_requests.add(ended.provider, ended.model, operation, ended.decision)

    def _count_evaluations(self, evaluations: tuple[Evaluation, ...], amount: int) -> None:
        for one in evaluations:
            if one.applied:
                self._metrics.evaluations.add(one.policy, one.kind, _word(one.outcome), amount=amount)


def _word(outcome: str) -> str:
    """A bounded word: what follows a colon names the case."""
    return outcome.partition(":")[0][:40]
