"""Approvals and notices do not grow without end: who asks for ever more is bounded, and what is over goes."""

import itertools

import msgspec
import pytest

from llmgov import instants
from llmgov.ledger import approvals, pruning
from llmgov.ledger.approvals import MAX_PENDING, MAX_PENDING_OF_USER, PENDING_LIFE, ApprovalError
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.messages import LeaseGrant, LeaseRequest, Refused, Subject
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState, OutboxEntry
from llmgov.ledger.store import Store
from llmgov.snapshot import approval_id
from llmgov_hub.approvals import MAX_ACTOR, MAX_REASON
from llmgov_hub.hub import Hub
from llmgov_hub.upkeep import Upkeep
from tests.support import ledgers
from tests.support.ledgers import NOW, on_every_store

JANE = ledgers.subject(user="jane")
OTHER = msgspec.structs.replace(JANE, service_account="other")


class World:
    """A hub and its clock."""

    def __init__(self, store: Store) -> None:
        self.now = NOW
        self.store = store
        self.hub = Hub(store, lambda: self.now)
        self._numbers = itertools.count()

    async def ask(self, *digests: str, who: Subject = JANE) -> None:
        await self.hub.deliver([self._refused(digest, who) for digest in digests])

    def _refused(self, digest: str, who: Subject) -> Refused:
        return Refused(
            f"a/{next(self._numbers)}", self.now, "req", who, "approval_required", "ns/costs", "too dear", (), 403,
            approval_digest=digest, approval_summary="gpt-4o for $3",
        )  # fmt: skip

    async def told(self) -> list[str]:
        return [entry.message for entry in await self.hub.outbox.pending() if entry.fact == "approvals"]


@on_every_store
async def test_a_workload_that_asks_for_ever_more_fills_nothing(store: Store) -> None:
    world = World(store)
    for batch in range(3):
        await world.ask(*(f"digest-{batch}-{number}" for number in range(MAX_PENDING // 2 + 10)))
    assert len(await store.approvals()) == MAX_PENDING
    (notice,) = await world.told()
    assert notice == (
        "payments/app asks for more approvals than the 100 that may wait at a time: ns/costs refused this and others"
        " without asking: gpt-4o for $3; request req; `llmgov approvals list` shows what waits"
    )
    assert len(await store.records("hub")) == 3 * (MAX_PENDING // 2 + 10), "what was refused is on record all the same"


@on_every_store
async def test_others_ask_while_one_workload_asks_too_much(store: Store) -> None:
    world = World(store)
    await world.ask(*map(str, range(MAX_PENDING + 1)))
    await world.ask("mine", who=OTHER)
    assert [row.workload for row in await store.approvals_of(["mine"])] == ["payments/other"]
    await world.ask("0")
    assert len(await store.approvals_of(["0"])) == 1, "what waits is found, and not asked for twice"


@on_every_store
async def test_one_user_keeps_no_other_of_its_workload_from_asking(store: Store) -> None:
    world = World(store)
    mallory, alice = (ledgers.subject(user=name, path=(f"user/{name}", *ledgers.PATH)) for name in ("mallory", "alice"))
    claimed = msgspec.structs.replace(JANE, user="alice")
    await world.ask(*(f"claimed-{number}" for number in range(MAX_PENDING_OF_USER)), who=claimed)
    await world.ask(*map(str, range(MAX_PENDING)), who=mallory)
    await world.ask("mine", who=alice)
    assert [row.user for row in await store.approvals_of(["mine"])] == ["alice"]
    assert sum(row.user == "mallory" for row in await store.approvals()) == MAX_PENDING_OF_USER
    (notice,) = await world.told()
    assert notice.startswith("mallory in payments/app asks for more approvals than the 10 that may wait at a time: ns/")
    await world.hub.approvals.deny(approval_id("3"), "root")
    await world.ask("99", "98", who=mallory)
    assert len(await store.approvals_of(["99", "98"])) == 1, "a decision makes room"


@on_every_store
async def test_a_decision_makes_room_and_so_does_time(store: Store) -> None:
    world = World(store)
    await world.ask(*map(str, range(MAX_PENDING)))
    await world.ask("more")
    assert await store.approvals_of(["more"]) == []
    await world.hub.approvals.deny(approval_id("3"), "root")
    await world.ask("more", "too many")
    assert len(await store.approvals_of(["more", "too many"])) == 1
    world.now += PENDING_LIFE
    await world.ask("too many", "4")
    found = {row.id for row in await store.approvals_of(["too many", "4"])}
    assert found == {approval_id("too many"), approval_id("4"), approval_id("4", 2)}


@on_every_store
async def test_each_day_it_is_told_once(store: Store) -> None:
    world = World(store)
    await world.ask(*map(str, range(MAX_PENDING + 5)))
    world.now += instants.DAY
    await world.ask("x", "y")
    assert len(await world.told()) == 2


@on_every_store
async def test_what_nobody_decided_goes_long_after_it_expired(store: Store) -> None:
    """What somebody decided stays: the audit compares it with the decision on record."""
    world = World(store)
    await world.ask("waits", "denied", "used")
    await world.hub.approvals.deny(approval_id("denied"), "root")
    await world.hub.approvals.approve(approval_id("used"), "root")
    lent = await ledgers.lease(world.hub, LeaseRequest(ledgers.epoch(), 1, (), (), approval_id("used")))
    assert isinstance(lent, LeaseGrant)
    upkeep = Upkeep(store, lambda: world.now)
    world.now = NOW + PENDING_LIFE + pruning.KEEP
    await upkeep.prune()
    assert len(await store.approvals()) == 3
    world.now += 1
    await upkeep.prune()
    assert {row.digest for row in await store.approvals()} == {"denied", "used"}
    await world.ask("waits", "used")
    assert [row.id for row in await store.approvals_of(["waits"])] == [approval_id("waits")]
    assert len(await store.approvals_of(["used"])) == 2


@on_every_store
async def test_that_a_model_stopped_and_what_a_threshold_opened_is_kept(store: Store) -> None:
    rows = (
        ApprovalRow("apr-1", ApprovalKind.OVERRUN, "p/m", "dear", NOW, approvals.FOR_EVER, digest="p/m"),
        ApprovalRow("apr-2", ApprovalKind.THRESHOLD, "ns/p", "90 %", NOW, NOW + 5, account="a", window_start=1),
    )

    def put(book: Book) -> None:
        for row in rows:
            book.put_approval(row)

    await store.transact(Lock(), put)
    assert await Upkeep(store, lambda: NOW + 2 * pruning.KEEP).prune() == 0
    assert await store.approvals() == list(rows)


@on_every_store
async def test_old_notices_go_some_at_a_time(store: Store) -> None:
    rows = [OutboxEntry(f"n{number}", NOW + number, "Admins", "", "violation", "m") for number in range(9)]

    def put(book: Book) -> None:
        book.put.outbox.update((row.id, row) for row in rows)

    await store.transact(Lock(), put)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pruning, "BATCH", 3)
        assert await Upkeep(store, lambda: NOW + 8 + pruning.KEEP).prune() == 8
    assert await store.outbox() == rows[8:]


@on_every_store
async def test_what_was_delivered_waits_no_more(store: Store) -> None:
    world = World(store)
    await world.ask("x", "y")
    first, second = await store.undelivered()
    await store.delivered([first.id], NOW)
    assert await store.undelivered() == [second]
    assert len(await store.outbox()) == 2


UNSAID = (
    (approval_id("x"), "", "", "actor: must not be empty"),
    (approval_id("x"), " \n", "", "actor: must not be empty"),
    (approval_id("x"), "x" * (MAX_ACTOR + 1), "", f"actor: has {MAX_ACTOR + 1} characters, more than {MAX_ACTOR}"),
    (approval_id("x"), "root", "x" * 3_000_000, f"reason: has 3000000 characters, more than {MAX_REASON}"),
    (approval_id("x"), "root", "\ud800", "reason: is no text: it holds half a character"),
    ("\ud800", "root", "", "approval: is no text: it holds half a character"),
)
"""An approval, who decides it and why, and what is wrong with that."""


@on_every_store
async def test_nobody_decides_and_nobody_for_reasons_of_any_size(store: Store) -> None:
    world = World(store)
    await world.ask("x")
    for id_, actor, reason, wrong in UNSAID:
        for decide in (world.hub.approvals.approve, world.hub.approvals.deny):
            with pytest.raises(ApprovalError) as refused:
                await decide(id_, actor, reason)
            assert str(refused.value) == wrong
    assert [row.state for row in await store.approvals()] == [ApprovalState.PENDING]
