"""What the operator counts, for Prometheus."""

import dataclasses

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


@dataclasses.dataclass(frozen=True, slots=True)
class Metrics:
    """The operator's metrics, in a registry of their own, so that two operators in one process do not meet."""

    registry: CollectorRegistry
    rounds: Counter
    round_seconds: Histogram
    published: Counter
    writes: Counter
    requests: Counter
    missed: Counter
    objects: Gauge
    problems: Gauge
    held: Gauge
    queue_age: Gauge
    status_queue: Gauge
    leader: Gauge

    def rendered(self) -> bytes:
        """The text exposition format."""
        return prometheus_client.generate_latest(self.registry)


def metrics() -> Metrics:
    """New metrics, all at nothing."""
    registry = CollectorRegistry(auto_describe=True)
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.PlatformCollector(registry=registry)
    return Metrics(
        registry=registry,
        rounds=Counter(
            "llmgov_operator_reconciles_total", "Whole configurations made.", ["outcome"], registry=registry
        ),
        round_seconds=Histogram(
            "llmgov_operator_reconcile_seconds",
            "From the change that woke a reconciliation to the configuration in force.",
            registry=registry,
            buckets=(0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30),
        ),
        published=Counter("llmgov_operator_parts_published_total", "Parts that came into force.", registry=registry),
        writes=Counter(
            "llmgov_operator_status_writes_total",
            "Statuses and events written.",
            ["kind", "outcome"],
            registry=registry,
        ),
        requests=Counter(
            "llmgov_operator_api_requests_total",
            "Requests to the API server, without watches.",
            ["verb", "code"],
            registry=registry,
        ),
        missed=Counter(
            "llmgov_operator_missed_changes_total",
            "Changes that a list showed and no watch had told.",
            ["kind"],
            registry=registry,
        ),
        objects=Gauge("llmgov_operator_objects", "Objects that are known.", ["kind"], registry=registry),
        problems=Gauge("llmgov_operator_problems", "Problems of resources.", ["severity"], registry=registry),
        held=Gauge(
            "llmgov_operator_held_parts", "Parts that wait for a faulty resource to be mended.", registry=registry
        ),
        queue_age=Gauge(
            "llmgov_operator_queue_age_seconds", "How long the oldest change has waited.", registry=registry
        ),
        status_queue=Gauge(
            "llmgov_operator_status_queue", "Objects whose status may have to be written.", registry=registry
        ),
        leader=Gauge("llmgov_operator_leader", "1 where this replica leads.", registry=registry),
    )
