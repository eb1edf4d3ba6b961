"""What is held back, for the administrator: a line in the log when that changes, and a number in the metrics.

Authors learn it from the status of their resources; but whose fault it is may be nobody's who looks there.
"""

import logging
from collections.abc import Sequence

from llmgov.problems import Problem
from llmgov.statuses import holding
from llmgov_operator.configuring import Configured
from llmgov_operator.metrics import Metrics

_LOG = logging.getLogger(__name__)


class HeldLog:
    """Is told of each configuration, and says what changed."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._said: str | None = None

    def note(self, configured: Configured) -> None:
        """A configuration was made, and is in force but for what it holds back."""
        self._metrics.held.set(len(configured.parts if configured.whole_held else configured.held))
        sentence = _sentence(configured)
        if sentence is not None and sentence != self._said:
            _LOG.warning("%s", sentence)
        if sentence is None and self._said is not None:
            _LOG.info("nothing is held back any more")
        self._said = sentence


def _sentence(configured: Configured) -> str | None:
    what = "every part" if configured.whole_held else _some(sorted(configured.held))
    faults = _some([f"{fault.resource} ({fault.code})" for fault in _faults(configured)])
    return f"held back: {what}, until this is mended: {faults}" if what else None


def _faults(configured: Configured) -> list[Problem]:
    """Those for which something is held back, one of each resource, in order."""
    parts = {name.removeprefix(holding.PREFIX) for name in configured.held}
    places = {"", configured.root} if configured.whole_held else parts
    return holding.faults_in(places, holding.faulty(configured.problems))


def _some(words: Sequence[str]) -> str:
    return ", ".join(holding.some(words))
