"""What requests came to, gathered and then counted into the metrics together: when somebody asks, or there is much.

Counting is a little work in many places; done for each request in between everything else, it costs several times what
it does for a few hundred in a row.
"""

import collections
from typing import Final

import msgspec

from llmgov.ledger.messages import Outcome
from llmgov.money import MicroUsd
from llmgov.policy.decision import Evaluation
from llmgov_sidecar.metrics import Metrics

GATHERED: Final = 256
"""How much is gathered at most."""


class Ended(msgspec.Struct, frozen=True):
    """A request that was answered; `operation` is empty where it never said what it asks for. `duration` in µs."""

    operation: str
    status: int
    decision: str
    provider: str
    model: str
    duration: int
    size: int


class Settled(msgspec.Struct, frozen=True):
    """An attempt that ended."""

    outcome: Outcome
    cost: MicroUsd
    provider: str
    model: str


class Tally:
    """Gathers for one sidecar's metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._ended: list[Ended] = []
        self._settled: list[Settled] = []
        self._evaluations: collections.Counter[tuple[Evaluation, ...]] = collections.Counter()

    def ended(self, ended: Ended) -> None:
        """A request was answered."""
        self._ended.append(ended)
        if len(self._ended) >= GATHERED:
            self.count()

    def settled(self, settled: Settled) -> None:
        """An attempt ended."""
        self._settled.append(settled)
        if len(self._settled) >= GATHERED:
            self.count()

    def evaluated(self, evaluations: tuple[Evaluation, ...]) -> None:
        """Policies were looked at. Most requests fare alike, so that there are few different tuples."""
        self._evaluations[evaluations] += 1
        if len(self._evaluations) >= GATHERED:
            self.count()

    def count(self) -> None:
        """Bring the metrics up to date."""
        for ended in self._ended:
            self._count_ended(ended)
        for settled in self._settled:
            self._metrics.outcomes.add(settled.outcome.value)
            self._metrics.llm_cost.observe(settled.cost, settled.provider, settled.model)
        for evaluations, amount in self._evaluations.items():
            self._count_evaluations(evaluations, amount)
        self._ended.clear()
        self._settled.clear()
        self._evaluations.clear()

    def _count_ended(self, ended: Ended) -> None:
        metrics, operation = self._metrics, ended.operation or "none"
        metrics.http_requests.add(operation, str(ended.status))
        metrics.http_duration.observe(ended.duration, operation)
        metrics.http_size.observe(ended.size, operation)
        if ended.operation:
            metrics.llm_requests.add(ended.provider, ended.model, ended.operation, ended.decision)

    def _count_evaluations(self, evaluations: tuple[Evaluation, ...], amount: int) -> None:
        for one in evaluations:
            if one.applied:
                self._metrics.evaluations.add(one.policy, one.kind, _word(one.outcome), amount=amount)


def _word(outcome: str) -> str:
    """A bounded word: what follows a colon names the case."""
    return outcome.partition(":")[0][:40]
