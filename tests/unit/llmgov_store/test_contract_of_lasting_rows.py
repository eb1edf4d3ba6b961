"""The store's contract for what outlives a window: corrections, the ledger's epoch, and what may be removed."""

import msgspec

from llmgov.ledger.book import Book, Ended, Lock, WindowLock
from llmgov.ledger.messages import Charged
from llmgov.ledger.rows import (
    AccountRow,
    Attempt,
    Correction,
    CorrectionKind,
    EpochRow,
    LeaseRow,
    LeaseState,
    LedgerEpoch,
    Window,
)
from llmgov.ledger.store import Store
from llmgov.ledger.windows import Span
from llmgov.snapshot import Target, TargetKind
from tests.support import ledgers
from tests.support.ledgers import NOW, USD, on_every_store

ACCOUNT = ledgers.account()
SPAN = Span(NOW - 10, NOW + 10)
ROW = AccountRow(ACCOUNT.key, "team/payments", ACCOUNT)
WINDOW = Window(ACCOUNT.key, "team/payments", *SPAN, 1_000_000_000, currency="EUR")
LEASE = LeaseRow(
    "pod-1:1/1/0", ACCOUNT.key, SPAN.start, SPAN.end, "pod-1", 1, USD, NOW + 5, 0, 0, LeaseState.OPEN, None, "f" * 16, 7
)
CORRECTION = Correction(
    "cor-1",
    NOW,
    "root",
    "the bill says so",
    CorrectionKind.LEASE,
    LEASE.id,
    USD,
    7,
    ACCOUNT.key,
    SPAN.start,
    ("a", "b"),
)


def lend(book: Book) -> None:
    book.put_account(ROW)
    book.put_window(WINDOW)
    book.put_lease(LEASE)
    book.put_return(LEASE.id, 1)


async def look(store: Store, lock: Lock) -> Book:
    return await store.transact(lock, lambda book: book)


@on_every_store
async def test_corrections_are_kept_and_known_by_their_ids(store: Store) -> None:
    earlier = msgspec.structs.replace(CORRECTION, id="cor-2", at=NOW - 1, kind=CorrectionKind.ATTEMPT, path=())

    def put(book: Book) -> None:
        lend(book)
        book.put_correction(CORRECTION)
        book.put_correction(earlier)

    await store.transact(Lock(), put)
    book = await look(store, Lock(corrections=("cor-1", "cor-3"), leases=(LEASE.id,)))
    assert book.corrections == {"cor-1": CORRECTION}
    assert (book.leases[LEASE.id], book.windows[ACCOUNT.key, SPAN.start]) == (LEASE, WINDOW)
    assert await store.corrections(NOW - 1, NOW + 1) == [earlier, CORRECTION]
    assert await store.corrections(NOW, NOW) == []
    assert (await store.balances()).corrections == (CORRECTION, earlier)


@on_every_store
async def test_an_attempt_keeps_what_it_was_corrected_to_and_what_it_counts_for(store: Store) -> None:
    attempt = Attempt("a/1", corrected=9, beside=("c|team/payments|Month|UTC", "policy/ns/costs"))
    await store.transact(Lock(), lambda book: book.put_attempt(attempt))
    assert (await look(store, Lock(attempts=("a/1",)))).attempts == {"a/1": attempt}


@on_every_store
async def test_an_attempt_brings_the_windows_of_what_it_counts_for_beside_its_path(store: Store) -> None:
    """Also where no account of today says so any more."""
    beside = Window(ACCOUNT.key, "was its scope", *SPAN, 1)

    def put(book: Book) -> None:
        book.put_account(ROW)
        book.put_window(beside)
        book.put_attempt(Attempt("a/1", ledgers.intent("a/1", 5), beside=("was its scope",)))

    await store.transact(Lock(), put)
    assert (await look(store, Lock(attempts=("a/1",)))).windows == {(ACCOUNT.key, SPAN.start): beside}


@on_every_store
async def test_an_attempt_counts_where_its_row_says(store: Store) -> None:
    """Its own clock was ahead; windows on its path are found by the time that counts, and so are reports."""
    late = Window(ACCOUNT.key, "team/payments", SPAN.end, SPAN.end + 20, 1)
    intent = ledgers.intent("a/1", 5, at=SPAN.end + 1)

    def put(book: Book) -> None:
        lend(book)
        book.put_window(late)
        book.put_attempt(Attempt("a/1", intent, counted=NOW))
        book.put_attempt(Attempt("a/2", msgspec.structs.replace(intent, id="a/2")))

    await store.transact(Lock(), put)
    assert set((await look(store, Lock(attempts=("a/1",)))).windows) == {(ACCOUNT.key, SPAN.start)}
    assert set((await look(store, Lock(attempts=("a/2",)))).windows) == {(ACCOUNT.key, SPAN.end)}
    assert [row.id for row in await store.attempts(NOW, NOW + 1)] == ["a/1"]
    held = msgspec.structs.replace(intent, id="a/3", charged=(Charged(LEASE.id, ACCOUNT.key, 5),))
    assert set((await look(store, Lock(intents=(held,)))).windows) == {(ACCOUNT.key, SPAN.start)}


@on_every_store
async def test_the_ledgers_epoch_and_the_databases_name_come_together(store: Store) -> None:
    assert await store.ledger_epoch() is None
    name = await store.database()
    assert name
    row = LedgerEpoch(name, 3, NOW, open=False)
    await store.transact(Lock(), lambda book: book.put_ledger_epoch(row))
    book = await look(store, Lock(ledger_epoch=True))
    assert (book.ledger_epoch, book.database) == (row, name)
    opened = msgspec.structs.replace(row, open=True)
    await store.transact(Lock(), lambda book: book.put_ledger_epoch(opened))
    assert await store.ledger_epoch() == opened
    assert (await look(store, Lock())).ledger_epoch is None


@on_every_store
async def test_unreported_are_holders_of_open_leases_that_have_not_told_them(store: Store) -> None:
    def put(book: Book) -> None:
        lend(book)
        for holder, state in (("told", LeaseState.OPEN), ("final", LeaseState.FINAL), ("earlier", LeaseState.OPEN)):
            book.put_lease(msgspec.structs.replace(LEASE, id=holder, holder=holder, state=state))
        book.put_epoch(EpochRow("told", 1, reported="life-2"))
        book.put_epoch(EpochRow("earlier", 1, reported="life-1"))

    await store.transact(Lock(), put)
    assert await store.unreported("life-2") == ["earlier", "pod-1"]


@on_every_store
async def test_a_users_first_window_comes_with_how_many_have_one(store: Store) -> None:
    each = ledgers.account(Target(TargetKind.USER))

    def window(user: str, start: int, base: str = each.key) -> Window:
        return Window(f"{base}|{user}", f"user/{user}", start, start + 10, 1, base=base)

    def put(book: Book) -> None:
        for made in (window("jane", 10), window("joe", 10), window("joe", 20), window("x", 10, "other")):
            book.put_account(AccountRow(made.account, made.scope, each))
            book.put_window(made)

    await store.transact(Lock(), put)
    await store.transact(Lock(), put)
    wanted = WindowLock(f"{each.key}|new", "user/new", Span(10, 20), each.key)
    known = WindowLock(f"{each.key}|joe", "user/joe", Span(10, 20), each.key)
    assert (await look(store, Lock(windows=(wanted,)))).users == {(each.key, 10): 2}
    assert (await look(store, Lock(windows=(known,)))).users == {}
    assert (await look(store, Lock(windows=(WindowLock(ACCOUNT.key, "s", Span(10, 20)),)))).users == {}


@on_every_store
async def test_what_ended_is_found_with_its_leases_oldest_first_unless_money_is_out(store: Store) -> None:
    windows = [Window(ACCOUNT.key, "team/payments", start, start + 10, 1) for start in (0, 10, 20, 30)]
    lent = msgspec.structs.replace(windows[0], leased=5)

    def put(book: Book) -> None:
        book.put_account(ROW)
        for made in (lent, *windows[1:]):
            book.put_window(made)
        book.put_lease(msgspec.structs.replace(LEASE, window_start=10, state=LeaseState.FINAL, returned=USD))
        book.put_epoch(EpochRow("gone", 1, gone=5))
        book.put_epoch(EpochRow("lately", 1, gone=50))
        book.put_epoch(EpochRow("alive", 1))
        book.put_epoch(EpochRow("owes", 1, gone=5))
        book.put_lease(msgspec.structs.replace(LEASE, id="owed", window_start=30, holder="owes"))

    await store.transact(Lock(), put)
    book = await look(store, Lock(ended=Ended(before=40, most=9)))
    assert list(book.windows) == [(ACCOUNT.key, 10), (ACCOUNT.key, 20)]
    assert (list(book.leases), list(book.epochs)) == ([LEASE.id], ["gone"])
    assert list((await look(store, Lock(ended=Ended(before=40, most=1)))).windows) == [(ACCOUNT.key, 10)]


@on_every_store
async def test_what_is_removed_goes_with_what_belongs_to_it(store: Store) -> None:
    def put(book: Book) -> None:
        lend(book)
        book.put_window(msgspec.structs.replace(WINDOW, start=SPAN.end, end=SPAN.end + 20))
        for holder in ("pod-1", "pod-2", "pod-10"):
            book.put_epoch(EpochRow(holder, 1))
            book.put_event(f"{holder}:1/4")

    def remove(book: Book) -> None:
        book.put.removed_windows.add((ACCOUNT.key, SPAN.start))
        book.put.removed_holders.add("pod-1")

    await store.transact(Lock(), put)
    await store.transact(Lock(), remove)
    holders = ("pod-1", "pod-2", "pod-10")
    events = tuple(f"{holder}:1/4" for holder in holders)
    book = await look(store, Lock(leases=(LEASE.id,), returns=((LEASE.id, 1),), holders=holders, events=events))
    assert (book.leases, book.returns) == ({}, set())
    assert (set(book.epochs), book.events) == ({"pod-2", "pod-10"}, {"pod-2:1/4", "pod-10:1/4"})
    assert [row.start for row in (await store.balances()).windows] == [SPAN.end]
    assert await store.leases("pod-1") == []
