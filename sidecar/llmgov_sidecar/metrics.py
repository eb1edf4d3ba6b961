"""Counters, gauges and histograms in Prometheus' text format, with the administrator guide's names.

By our own hand: a client library would cost a sidecar 10 MB. Label values are bounded: what comes from clients (models)
becomes `other` beyond a number of different values, so that nobody can fill the memory or the monitoring.
"""

import bisect
from collections.abc import Iterator, Sequence
from typing import Final

MOST_VALUES: Final = 100
"""Different values that one label keeps."""

OTHER: Final = "other"

Labels = tuple[str, ...]


class _Metric:
    """What the kinds share: a name, help and bounded labels."""

    kind = ""

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._text = text
        self._labels = tuple(labels)
        self._seen: tuple[set[str], ...] = tuple(set() for _ in self._labels)

    def _bounded(self, values: Labels) -> Labels:
        return tuple(_bound(value, seen) for value, seen in zip(values, self._seen, strict=True))

    def _line(self, suffix: str, values: Labels, amount: float | int, extra: str = "") -> str:
        pairs = [f'{name}="{_escape(value)}"' for name, value in zip(self._labels, values, strict=True)]
        labels = ",".join([*pairs, extra] if extra else pairs)
        return f"{self.name}{suffix}{{{labels}}} {amount}" if labels else f"{self.name}{suffix} {amount}"

    def _head(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self._text}"
        yield f"# TYPE {self.name} {self.kind}"


class Counter(_Metric):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, text, labels)
        self._values: dict[Labels, int] = {}

    def add(self, *values: str, amount: int = 1) -> None:
        """Count."""
        if values not in self._values:
            values = self._bounded(values)
        self._values[values] = self._values.get(values, 0) + amount

    def lines(self) -> Iterator[str]:
        """The text format."""
        yield from self._head()
        for values, amount in self._values.items():
            yield self._line("", values, amount)


class Gauge(_Metric):
    """A number that grows and shrinks."""

    kind = "gauge"

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.value = 0

    def lines(self) -> Iterator[str]:
        """The text format."""
        yield from self._head()
        yield self._line("", (), self.value)


class Histogram(_Metric):
    """How often values were within bounds. `unit` divides the integers that are observed."""

    kind = "histogram"

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[int], unit: int) -> None:
        super().__init__(name, text, labels)
        self._bounds = tuple(bounds)
        self._unit = unit
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, int] = {}

    def observe(self, value: int, *values: str) -> None:
        """Take one value in."""
        if values not in self._counts:
            values = self._bounded(values)
            self._counts.setdefault(values, [0] * (len(self._bounds) + 1))
        self._counts[values][bisect.bisect_left(self._bounds, value)] += 1
        self._sums[values] = self._sums.get(values, 0) + value

    def lines(self) -> Iterator[str]:
        """The text format."""
        yield from self._head()
        for values, counts in self._counts.items():
            total = 0
            for bound, count in zip(self._bounds, counts, strict=False):
                total += count
                yield self._line("_bucket", values, total, f'le="{bound / self._unit:g}"')
            total += counts[-1]
            yield self._line("_bucket", values, total, 'le="+Inf"')
            yield self._line("_sum", values, self._sums[values] / self._unit)
            yield self._line("_count", values, total)


_SECONDS: Final = tuple(
    int(s * 1_000_000) for s in (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
)
_DOLLARS: Final = tuple(int(d * 1_000_000) for d in (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 20))
_BYTES: Final = tuple(256 * 8**power for power in range(7))


class Metrics:
    """All metrics of one sidecar."""

    def __init__(self) -> None:
        self.llm_requests = Counter(
            "llm_requests_total", "LLM requests by what came of them", ("provider", "model", "operation", "decision")
        )
        self.llm_cost = Histogram(
            "llm_request_cost_usd", "What LLM requests cost, in USD", ("provider", "model"), _DOLLARS, 1_000_000
        )
        self.evaluations = Counter("policy_evaluations_total", "Policies evaluated", ("policy", "kind", "outcome"))
        self.violations = Counter("policy_violations_total", "Policy violations", ("policy", "action", "dry_run"))
        self.http_requests = Counter("http_requests_total", "HTTP requests", ("operation", "status"))
        self.http_duration = Histogram(
            "http_request_duration_seconds", "Time from request to end of answer", ("operation",), _SECONDS, 1_000_000
        )
        self.http_in_flight = Gauge("http_requests_in_flight", "HTTP requests being answered")
        self.http_size = Histogram("http_response_size_bytes", "Bytes of answers", ("operation",), _BYTES, 1)
        self.outcomes = Counter("llmgov_attempts_total", "Attempts by how their money ended", ("outcome",))
        self.overruns = Counter("llmgov_overruns_total", "Attempts that cost more than was held", ("provider", "model"))
        self.spool_bytes = Gauge("llmgov_spool_bytes", "Bytes in the spool")
        self.background_failures = Counter(
            "llmgov_background_failures_total", "Failures of work beside requests, each begun anew", ("task",)
        )
        self.background_failing = Gauge("llmgov_background_failing", "Work beside requests that failed a moment ago")
        self.upstream_failures = Counter("llmgov_upstream_failures_total", "Answers that never came", ("cause",))

    def render(self) -> bytes:
        """The whole exposition."""
        metrics = [value for value in vars(self).values() if isinstance(value, Counter | Gauge | Histogram)]
        return ("\n".join(line for metric in metrics for line in metric.lines()) + "\n").encode()


def _bound(value: str, seen: set[str]) -> str:
    if value in seen:
        return value
    if len(seen) >= MOST_VALUES:
        return OTHER
    seen.add(value)
    return value


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
