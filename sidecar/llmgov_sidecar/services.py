"""What the attempts of one sidecar share."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator

from llmgov.instants import Instant
from llmgov_sidecar.delivery import Delivery
from llmgov_sidecar.ends import Ends
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.leasing import Leasing
from llmgov_sidecar.logs import Log
from llmgov_sidecar.metrics import Metrics
from llmgov_sidecar.passage import Observer
from llmgov_sidecar.records import Records
from llmgov_sidecar.settings import Settings
from llmgov_sidecar.stopped import Stopped
from llmgov_sidecar.upstream import Pool


@dataclasses.dataclass(slots=True)
class Services:
    """`leasing` and `delivery` are `None` while the hub has not been reached.

    `ids` gives what is on record its numbers, and what never gets there takes none: a number that the audit lacks is a
    loss. `tickets` tell apart who asks for money.
    """

    settings: Settings
    clock: Callable[[], Instant]
    ids: Callable[[], str]
    journal: Journal
    ends: Ends
    pool: Pool
    records: Records
    metrics: Metrics
    log: Log
    observer: Observer
    digest_key: bytes
    stopped: Stopped
    tickets: Iterator[int] = dataclasses.field(default_factory=itertools.count)
    leasing: Leasing | None = None
    delivery: Delivery | None = None
