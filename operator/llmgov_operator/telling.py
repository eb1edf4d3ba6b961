"""Tells the authors of resources, in statuses and events, what became of them.

Two loops: one looks at the ledger and says what each status should be (`Looking`, `Agenda`), one writes what is due.
Nothing is written by a replica that may not lead any more, and what fails is tried again later.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from llmgov import instants
from llmgov.instants import Instant
from llmgov.ledger.publishing import Change
from llmgov.ledger.store import StoreError
from llmgov_operator import cluster, kinds, news, watching
from llmgov_operator.agenda import Agenda, Write
from llmgov_operator.api import ApiError
from llmgov_operator.cluster import Body, Cluster
from llmgov_operator.configuring import Configured
from llmgov_operator.kinds import Kind
from llmgov_operator.looking import Looking
from llmgov_operator.metrics import Metrics

AT_A_TIME: Final = 8
"""Requests that are under way at once: the API server counts the operator among many."""

_BATCH: Final = 200
"""Writes between two looks at what is due."""

_LOG = logging.getLogger(__name__)

_CONFLICT: Final = 409


class Writes(Protocol):
    """What is written to the API server (`llmgov_operator.api.Api`)."""

    async def apply_status(self, kind: Kind, body: Body, status: Mapping[str, Any]) -> Body | None:
        """Apply an object's status; the object after that, `None` where it is gone.

        Raises:
            ApiError: it was refused, or nobody answered.
        """
        ...

    async def clear_conditions(self, kind: Kind, body: Body) -> Body | None:
        """Take all conditions from an object's status; the object after that, `None` where it is gone.

        Raises:
            ApiError: it was refused, or nobody answered.
        """
        ...

    async def create(self, path: str, body: Mapping[str, Any]) -> None:
        """Create an object below `path`.

        Raises:
            ApiError: it was refused, or nobody answered.
        """
        ...


class Telling:
    """Tells of the resources of one cluster.

    `known` learns what was written, so that its own echo is no news; `leads` is asked right before each write;
    `instance` is this replica's name in events; `clock` is the ledger's.
    """

    def __init__(
        self,
        looking: Looking,
        api: Writes,
        known: Cluster,
        leads: Callable[[], bool],
        clock: Callable[[], Instant],
        metrics: Metrics,
        *,
        instance: str,
        observe_seconds: float,
    ) -> None:
        self._looking = looking
        self._api = api
        self._known = known
        self._leads = leads
        self._clock = clock
        self._metrics = metrics
        self._instance = instance
        self._observe_seconds = observe_seconds
        self._agenda = Agenda(clock())
        self._quota = news.Quota()
        self._bodies: dict[str, Body] = {}
        self._told = asyncio.Event()
        self._due = asyncio.Event()
        self._quiet_until: Instant = 0

    async def told(self, configured: Configured, published: Sequence[Change]) -> None:
        """A configuration is in force, but for what it holds back: `Reconciler`'s callback."""
        self._looking.told(configured, published, self._clock())
        objects = [*(body for _, body in configured.parsed), *configured.unread]
        uids = {str(body["metadata"]["uid"]): body for body in objects}
        for uid in self._bodies.keys() - uids.keys():
            del self._bodies[uid]
        for uid, body in uids.items():
            self._bodies.setdefault(uid, body)
        self._agenda.keep(uids)
        self._told.set()

    def heard(self, kind: Kind, body: Body, change: cluster.Change) -> None:
        """An object changed, perhaps its status by somebody else: call it for whatever the watches tell."""
        uid = body["metadata"]["uid"]
        if kind.name in kinds.OURS and change is not cluster.Change.NOTHING and uid in self._bodies:
            self._bodies[uid] = body
            self._agenda.touched(uid)
            self._due.set()

    async def run(self) -> None:
        """Look and write, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_looking())
            group.create_task(self._keep_writing())

    async def look(self) -> None:
        """Look at the ledger once, and want what it says. A ledger that does not answer is looked at again later."""
        try:
            for said in await self._looking.look(self._clock()):
                if said.uid in self._bodies:
                    self._agenda.want(said.kind, said.uid, said.status)
        except StoreError as error:
            _LOG.warning("statuses grow old: the ledger does not answer: %s", error)
        self._metrics.status_queue.set(self._agenda.waiting)
        self._due.set()

    async def write(self) -> int:
        """Write what is due now; how much that was."""
        now = self._clock()
        if now < self._quiet_until:
            return 0
        batch = list(itertools.islice(self._agenda.due(self._bodies, now), _BATCH))
        waiting = iter(batch)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_A_TIME, len(batch))):
                group.create_task(self._work(waiting))
        self._metrics.status_queue.set(self._agenda.waiting)
        return len(batch)

    async def _keep_looking(self) -> None:
        while True:
            self._told.clear()
            await self.look()
            await _wait(self._told, self._observe_seconds)

    async def _keep_writing(self) -> None:
        while True:
            self._due.clear()
            if not await self.write():
                await _wait(self._due, self._until_next())

    def _until_next(self) -> float | None:
        """Seconds until something is due; `None` where nothing waits."""
        now = self._clock()
        at = self._agenda.next(now)
        return None if at is None else max(0.05, (max(at, self._quiet_until) - now) / instants.SECOND)

    async def _work(self, waiting: Iterator[Write]) -> None:
        for write in waiting:
            await self._write(write)

    async def _write(self, write: Write) -> None:
        if self._clock() < self._quiet_until:
            return
        if not self._leads():
            self._agenda.failed(write, self._clock())
            return
        try:
            answer = await self._apply(write)
        except ApiError as error:
            self._failed(write, error)
            return
        self._metrics.writes.labels(write.kind, "written" if answer else "gone").inc()
        if answer is None:
            self._agenda.forget(write.uid)
            self._bodies.pop(write.uid, None)
            return
        body = watching.slim(answer)
        self._bodies[write.uid] = body
        self._known.see(write.kind, body)
        self._agenda.wrote(write, self._clock())
        await self._post(write)

    async def _apply(self, write: Write) -> Body | None:
        kind, body = kinds.OURS[write.kind], write.body
        if not write.is_crowded:
            return await self._api.apply_status(kind, body, write.status)
        named = write.kind, "/".join(_place(body))
        _LOG.warning("the conditions of others left no room in the status of %s %s, and are taken away", *named)
        cleared = await self._api.clear_conditions(kind, body)
        return None if cleared is None else await self._api.apply_status(kind, cleared, write.status)

    def _failed(self, write: Write, error: ApiError) -> None:
        """The object's turn comes again later; everybody's where the API server asks to be left alone."""
        _LOG.warning("the status of %s %s could not be written: %s", write.kind, "/".join(_place(write.body)), error)
        self._metrics.writes.labels(write.kind, "failed").inc()
        now = self._clock()
        self._agenda.failed(write, now)
        if error.retry_after:
            self._quiet_until = max(self._quiet_until, now + int(error.retry_after * instants.SECOND))

    async def _post(self, write: Write) -> None:
        """Post what is news in a status that was written. What fails is not tried again: the status says it all."""
        now = self._clock()
        for event in news.of(write.body, write.status, now, self._instance):
            outcome = "written" if self._quota.take(write.uid, now) else "too many"
            if outcome == "written":
                try:
                    await self._api.create(news.path(write.body), event)
                except ApiError as error:
                    outcome = "there" if error.status == _CONFLICT else "failed"
                    if outcome == "failed":
                        _LOG.warning("an event could not be posted: %s", error)
            self._metrics.writes.labels("Event", outcome).inc()


def _place(body: Body) -> list[str]:
    return [word for word in cluster.place(body) if word]


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
