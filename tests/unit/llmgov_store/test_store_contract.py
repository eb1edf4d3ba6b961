"""What every store does alike: the contract that `llmgov.ledger.store` states, table by table."""

import asyncio
import pathlib
from collections.abc import Callable

import msgspec
import pytest

from llmgov import instants
from llmgov.ledger import rows, sums
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Book, Lock, WindowLock
from llmgov.ledger.messages import Charged, Epoch
from llmgov.ledger.rows import (
    AccountRow,
    ApprovalKind,
    ApprovalRow,
    ApprovalState,
    Attempt,
    AuditRow,
    EpochRow,
    LeaseRow,
    LeaseState,
    OutboxEntry,
    Spend,
    SubjectKeyRow,
    Sum,
    ViolationRow,
    Window,
)
from llmgov.ledger.store import Store, StoreError
from llmgov.ledger.windows import Span
from llmgov.policy.decision import Action
from llmgov.snapshot import Match, Target, TargetKind, Threshold, ThresholdAction
from tests.support import ledgers
from tests.support.ledgers import NOW, USD, on_every_store

ACCOUNT = ledgers.account(
    thresholds=(Threshold(50, (ThresholdAction.NOTIFY_USERS,)), Threshold(100, (ThresholdAction.BLOCK,)))
)
SPAN = Span(NOW - 10, NOW + 10)
HOUR = Span(NOW, NOW + instants.HOUR)
ACCOUNT_ROW = AccountRow(ACCOUNT.key, "team/payments", ACCOUNT)
WINDOW = Window(ACCOUNT.key, "team/payments", *SPAN, 1_000_000_000, 7, USD, 3, (50,))
LEASE = LeaseRow(
    "pod-1:1/1/0", ACCOUNT.key, SPAN.start, SPAN.end, "pod-1", 1, USD, NOW + 5, 10, 20, LeaseState.OPEN, 90
)
APPROVAL = ApprovalRow(
    "apr-1", ApprovalKind.THRESHOLD, "Budget/x", "more", NOW, NOW + 10, account=ACCOUNT.key, window_start=SPAN.start,
    threshold=90,
)  # fmt: skip
INTENT = ledgers.intent("a/1", USD, (Charged(LEASE.id, ACCOUNT.key, USD),))
ATTEMPT = Attempt("a/1", INTENT, None)
OUTBOX = OutboxEntry("threshold/1", NOW, "Admins", ACCOUNT.key, "threshold:50", "half is spent")
VIOLATION = ViolationRow("a/9", 0, NOW, "ns/p", Action.REDACT, "pattern:ssn", "found", True, "ns", "sa", None, "m", 3)
RECORD = AuditRow("hub-1", 1, "ab" * 32, NOW, "intent", b'{"seq":1}')
KEY = SubjectKeyRow("k1", "user/jane", b"s" * 32)


def everything(book: Book) -> None:
    """A step that puts a row of every kind."""
    book.put_account(ACCOUNT_ROW)
    book.put_window(WINDOW)
    book.put_lease(LEASE)
    book.put_epoch(EpochRow("pod-1", 3))
    book.put_attempt(ATTEMPT)
    book.put_approval(APPROVAL)
    book.put_key(KEY)
    book.put_return(LEASE.id, 1)
    book.put_event("a/9")
    book.put_record(RECORD)
    book.put.outbox[OUTBOX.id] = OUTBOX
    book.put.violations.append(VIOLATION)
    book.put.spends.append(Spend(("team/payments",), NOW, 70))


ALL = Lock(
    windows=(WindowLock(ACCOUNT.key, "team/payments", SPAN),),
    leases=(LEASE.id,),
    attempts=("a/1", "a/2"),
    returns=((LEASE.id, 1), (LEASE.id, 2)),
    holders=("pod-1", "pod-2"),
    events=("a/9", "a/10"),
    writer="hub-1",
    subjects=("user/jane", "user/joe"),
)


async def look(store: Store, lock: Lock) -> Book:
    return await store.transact(lock, lambda book: book)


@on_every_store
async def test_what_a_step_put_is_what_the_next_one_finds(store: Store) -> None:
    await store.transact(Lock(), everything)
    book = await look(store, ALL)
    assert book.accounts == {ACCOUNT.key: ACCOUNT_ROW}
    assert book.windows == {(ACCOUNT.key, SPAN.start): WINDOW}
    assert book.backfill == {}
    assert book.leases == {LEASE.id: LEASE}
    assert book.epochs == {"pod-1": EpochRow("pod-1", 3)}
    assert book.attempts == {"a/1": ATTEMPT}
    assert book.approvals == {"apr-1": APPROVAL}
    assert book.keys == {"user/jane": KEY}
    assert book.returns == {(LEASE.id, 1)}
    assert book.events == {"a/9"}
    assert book.head == RECORD
    assert await store.outbox() == [OUTBOX]
    assert await store.violations(NOW, NOW + 1) == [VIOLATION]
    assert await store.spent("team/payments", *HOUR) == 70
    sum_ = Sum("team/payments", sums.quarter(NOW), 70)
    assert await store.balances() == Balances((WINDOW,), (LEASE,), (ATTEMPT,), (sum_,), (ACCOUNT_ROW,))


@on_every_store
async def test_a_step_that_raises_leaves_nothing(store: Store) -> None:
    def fails(book: Book) -> None:
        everything(book)
        raise RuntimeError("the rule says no")

    with pytest.raises(RuntimeError, match="the rule says no"):
        await store.transact(Lock(), fails)
    book = await look(store, ALL)
    assert book == Book(backfill={(ACCOUNT.key, SPAN.start): 0})
    assert await store.outbox() == []
    assert await store.violations(0, NOW * 2) == []
    assert await store.spent("team/payments", 0, NOW * 2) == 0


@on_every_store
async def test_rows_of_one_identity_are_replaced(store: Store) -> None:
    await store.transact(Lock(), everything)
    settled = Attempt("a/1", INTENT, ledgers.settlement("a/1", 70))
    changed = msgspec.structs.replace(WINDOW, spent=8, told=(50, 75))

    def change(book: Book) -> None:
        book.put_window(changed)
        book.put_lease(msgspec.structs.replace(LEASE, state=LeaseState.LOST, over=None))
        book.put_attempt(settled)

    await store.transact(ALL, change)
    book = await look(store, ALL)
    assert book.windows[ACCOUNT.key, SPAN.start] == changed
    assert (book.leases[LEASE.id].state, book.leases[LEASE.id].over) == (LeaseState.LOST, None)
    assert book.attempts["a/1"] == settled


@on_every_store
async def test_outbox_entries_are_kept_as_they_were(store: Store) -> None:
    await store.transact(Lock(), everything)

    def again(book: Book) -> None:
        book.put.outbox[OUTBOX.id] = msgspec.structs.replace(OUTBOX, at=NOW + 99)

    await store.transact(Lock(), again)
    assert await store.outbox() == [OUTBOX]


@on_every_store
async def test_a_window_that_does_not_exist_comes_with_what_its_scope_spent(store: Store) -> None:
    """Nobody looks at attempts for it where the window is one of whole quarters of an hour."""

    def spend(book: Book) -> None:
        for index, (scope, at) in enumerate(
            [("team/a", HOUR.start), ("team/a", HOUR.end - 1), ("team/a", HOUR.end), ("team/b", HOUR.start)]
        ):
            book.put.spends.append(Spend((scope, "organization"), at, 10**index))

    await store.transact(Lock(), spend)
    book = await look(store, Lock(windows=(WindowLock("new", "team/a", HOUR),)))
    assert book.backfill == {("new", HOUR.start): 11}
    assert book.windows == {}


TIMES = (NOW - 1, NOW, NOW + 1, NOW + sums.QUARTER - 1, NOW + sums.QUARTER)
TEAMS = ("team/a", "team/b")


@on_every_store
async def test_what_a_scope_spent_in_any_time_is_what_its_attempts_of_that_time_cost(store: Store) -> None:
    """Also in parts of a quarter. Every other attempt is another team's, one is not settled, one counts for more."""

    def attempt(index: int, at: int) -> Attempt:
        who = ledgers.subject(path=("organization", TEAMS[index % 2]))
        settlement = ledgers.settlement(f"a/{index}", 10**index)
        given = Attempt(f"a/{index}", ledgers.intent(f"a/{index}", 1, at=0, who=who), settlement, counted=at)
        return msgspec.structs.replace(given, beside=("key",)) if index == 3 else given

    attempts = [attempt(index, at) for index, at in enumerate(TIMES)]

    def spend(book: Book) -> None:
        for row in attempts:
            book.put_attempt(row)
            book.put.spends.append(Spend(row.scopes, row.time or 0, row.cost))
        book.put_attempt(Attempt("a/9", attempts[1].intent, None, counted=NOW))

    await store.transact(Lock(), spend)
    asked = {
        (scope, Span(start, end + more)): sum(
            row.cost for row in attempts if scope in row.scopes and start <= (row.time or 0) < end + more
        )
        for scope in ("organization", *TEAMS, "key", "user/nobody")
        for start in TIMES
        for end in TIMES
        for more in (0, 1)
    }
    assert await store.spent_each(list(asked)) == list(asked.values())
    windows = tuple(WindowLock(f"{scope} {span.end}", scope, span) for scope, span in asked if span.start < span.end)
    found = (await look(store, Lock(windows=windows))).backfill
    assert found == {(one.account, one.span.start): asked[one.scope, one.span] for one in windows}


@on_every_store
async def test_sums_go_up_and_down_and_never_below_nothing(store: Store) -> None:
    def spend(*changes: tuple[int, int]) -> Callable[[Book], None]:
        def step(book: Book) -> None:
            book.put.spends += [Spend(("team/a", "team/b"), at, cost) for at, cost in changes]

        return step

    for changes in (((NOW, 70), (NOW + 1, 5)), ((NOW, -60),), ((NOW + 2, 40), (NOW, -10), (NOW + 1, -5))):
        await store.transact(Lock(), spend(*changes))
    assert (await store.balances()).sums == (Sum("team/a", NOW, 40), Sum("team/b", NOW, 40))
    await store.transact(Lock(), spend((NOW, -40)))
    assert (await store.balances()).sums == ()
    assert await store.spent("team/a", *HOUR) == 0


@on_every_store
async def test_what_many_scopes_spent_comes_in_the_order_asked_for(store: Store) -> None:
    def spend(book: Book) -> None:
        for index, scope in enumerate(("team/b", "team/a", "team/a")):
            book.put.spends.append(Spend((scope,), NOW + index * sums.QUARTER, 10**index))

    await store.transact(Lock(), spend)
    wanted = [("team/b", HOUR), ("team/none", HOUR), ("team/a", HOUR), ("team/a", Span(NOW, NOW + 2 * sums.QUARTER))]
    assert await store.spent_each([*wanted, wanted[0]]) == [1, 0, 110, 10, 1]
    assert await store.spent_each([]) == []


@on_every_store
async def test_a_lease_brings_its_window_and_account(store: Store) -> None:
    await store.transact(Lock(), everything)
    book = await look(store, Lock(leases=(LEASE.id,)))
    assert book.windows == {(ACCOUNT.key, SPAN.start): WINDOW}
    assert book.accounts == {ACCOUNT.key: ACCOUNT_ROW}


@pytest.mark.parametrize("stored", [True, False], ids=["a stored intent", "an intent in the lock"])
@pytest.mark.parametrize("kind", ledgers.STORES)
def test_an_attempt_brings_its_leases_and_the_windows_on_its_path(
    kind: str, stored: bool, tmp_path: pathlib.Path
) -> None:
    async def check() -> None:
        async with ledgers.opened(kind, tmp_path) as store:
            await store.transact(Lock(), everything)
            organization = ledgers.account(Target(TargetKind.ORGANIZATION))
            elsewhere = ledgers.account(Target(TargetKind.TEAM, "other"))

            def more(book: Book) -> None:
                for account in (organization, elsewhere):
                    book.put_account(AccountRow(account.key, str(account.target), account))
                    book.put_window(Window(account.key, str(account.target), *SPAN, 1))
                ended = Window(organization.key, "organization", SPAN.start - 20, SPAN.start, 1)
                book.put_window(ended)

            await store.transact(Lock(), more)
            lock = Lock(attempts=("a/1",)) if stored else Lock(intents=(INTENT,))
            book = await look(store, lock)
            assert book.leases == {LEASE.id: LEASE}
            assert set(book.windows) == {(ACCOUNT.key, SPAN.start), (organization.key, SPAN.start)}
            assert set(book.accounts) == {ACCOUNT.key, organization.key}

    asyncio.run(check())


@on_every_store
async def test_a_holders_leases_are_those_with_money_or_still_open(store: Store) -> None:
    states = [
        ("open and spent", LeaseState.OPEN, USD, True),
        ("final and outstanding", LeaseState.FINAL, 0, True),
        ("final and spent", LeaseState.FINAL, USD, False),
        ("lost and outstanding", LeaseState.LOST, 0, True),
        ("overrun", LeaseState.FINAL, 2 * USD, False),
    ]

    def lend(book: Book) -> None:
        everything(book)
        for id_, state, spent, _ in states:
            book.put_lease(msgspec.structs.replace(LEASE, id=id_, state=state, spent=spent, returned=0, holder="pod-7"))

    await store.transact(Lock(), lend)
    expected = sorted(id_ for id_, _, _, unfinished in states if unfinished)
    assert [row.id for row in await store.leases("pod-7")] == expected
    assert sorted((await look(store, Lock(leases_of=("pod-7",)))).leases) == expected


@on_every_store
async def test_leases_are_unaccounted_for_that_are_lost_with_money_or_were_billed(store: Store) -> None:
    states = [
        ("open", LeaseState.OPEN, 0, 0, False),
        ("final and outstanding", LeaseState.FINAL, 0, 0, False),
        ("final and billed", LeaseState.FINAL, USD, 1, True),
        ("lost and outstanding", LeaseState.LOST, 0, 0, True),
        ("lost and spent", LeaseState.LOST, USD, 0, False),
        ("lost, spent and billed", LeaseState.LOST, 2 * USD, 1, True),
    ]

    def lend(book: Book) -> None:
        everything(book)
        for id_, state, spent, billed, _ in states:
            row = msgspec.structs.replace(LEASE, id=id_, state=state, spent=spent, returned=0, billed=billed)
            book.put_lease(row)

    await store.transact(Lock(), lend)
    assert [row.id for row in await store.unaccounted()] == sorted(id_ for id_, *_, found in states if found)


@on_every_store
async def test_borrowers_are_epochs_with_open_leases_of_one_window(store: Store) -> None:
    def lend(book: Book) -> None:
        everything(book)
        for index, changes in enumerate(
            [
                {"number": 2},
                {"number": 2},
                {"holder": "pod-2", "state": LeaseState.FINAL},
                {"holder": "pod-3", "spent": USD},
            ]
        ):
            book.put_lease(msgspec.structs.replace(LEASE, id=f"lease-{index}", **changes))

    await store.transact(Lock(), lend)
    rest = USD - 30
    assert await store.borrowers(ACCOUNT.key, SPAN.start) == {Epoch("pod-1", 1): rest, Epoch("pod-1", 2): 2 * rest}
    assert await store.borrowers(ACCOUNT.key, SPAN.start - 1) == {}


@on_every_store
async def test_concurrent_transactions_lose_no_update(store: Store) -> None:
    await store.transact(Lock(), everything)

    def add(book: Book) -> None:
        window = book.windows[ACCOUNT.key, SPAN.start]
        book.put_window(msgspec.structs.replace(window, spent=window.spent + 1))

    await asyncio.gather(*(store.transact(ALL, add) for _ in range(200)))
    (window,) = await store.windows(NOW)
    assert window.spent == WINDOW.spent + 200


@on_every_store
async def test_a_failing_transaction_does_not_harm_those_beside_it(store: Store) -> None:
    def fail(book: Book) -> None:
        book.put_epoch(EpochRow("bad", 1))
        raise ValueError("no")

    def work(book: Book) -> None:
        book.put_epoch(EpochRow("good", 1))

    steps = (fail, work, fail)
    outcomes = await asyncio.gather(*(store.transact(Lock(), step) for step in steps), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError, type(None), ValueError]
    assert set((await look(store, Lock(holders=("good", "bad")))).epochs) == {"good"}


@on_every_store
async def test_one_writer_has_one_record_of_each_number(store: Store) -> None:
    def append(book: Book) -> None:
        book.put_epoch(EpochRow("pod-1", 1 if book.head is None else 2))
        book.put_record(RECORD)

    await store.transact(Lock(), append)
    with pytest.raises(StoreError):
        await store.transact(Lock(writer="hub-1"), append)
    assert (await look(store, ALL)).epochs == {"pod-1": EpochRow("pod-1", 1)}


@on_every_store
async def test_audit_records_are_read_in_order_and_in_pieces(store: Store) -> None:
    def append(book: Book) -> None:
        for seq in range(1, 6):
            book.put_record(msgspec.structs.replace(RECORD, seq=seq))
        book.put_record(msgspec.structs.replace(RECORD, writer="hub-2"))

    await store.transact(Lock(), append)
    assert [row.seq for row in await store.records("hub-1", after=2, limit=2)] == [3, 4]
    assert [row.seq for row in await store.records("hub-1", after=4)] == [5]
    assert await store.writers() == ["hub-1", "hub-2"]
    assert (await look(store, Lock(writer="hub-1"))).head == msgspec.structs.replace(RECORD, seq=5)
    assert (await look(store, Lock(writer="hub-3"))).head is None


@on_every_store
async def test_attempts_are_found_by_the_time_of_their_intent(store: Store) -> None:
    early, late = (Attempt(id_, ledgers.intent(id_, 1, at=at)) for id_, at in (("z", NOW), ("b", NOW + 9)))
    orphan = Attempt("o", None, ledgers.settlement("o", 5))

    def put(book: Book) -> None:
        for row in (late, early, orphan):
            book.put_attempt(row)

    await store.transact(Lock(), put)
    assert await store.attempts(NOW, NOW + 10) == [early, late]
    assert await store.attempts(NOW + 1, NOW + 9) == []


@on_every_store
async def test_approvals_are_found_by_id_and_with_their_window(store: Store) -> None:
    request = ApprovalRow("apr-2", ApprovalKind.REQUEST, "ns/p", "costly", NOW + 1, NOW + 9, digest="d", used_by="x/1")
    decided = msgspec.structs.replace(
        APPROVAL, state=ApprovalState.APPROVED, decided=NOW, decided_by="root", reason="ok"
    )

    def put(book: Book) -> None:
        everything(book)
        book.put_approval(decided)
        book.put_approval(request)

    await store.transact(Lock(), put)
    assert await store.approvals() == [request, decided]
    book = await look(store, Lock(approvals=("apr-2", "apr-3")))
    assert book.approvals == {"apr-2": request}
    book = await look(store, Lock(approval_kinds=(ApprovalKind.REQUEST, ApprovalKind.OVERRUN)))
    assert book.approvals == {"apr-2": request}
    book = await look(store, Lock(windows=ALL.windows))
    assert book.opened(WINDOW) == {90}


@on_every_store
async def test_keys_checkpoints_and_deliveries(store: Store) -> None:
    await store.transact(Lock(), everything)
    for data in (b"one", b"two"):
        await store.put_checkpoint(data)
    assert await store.checkpoints() == [b"one", b"two"]
    assert await store.subject_keys() == [KEY]
    assert await store.destroy_key("user/jane")
    assert not await store.destroy_key("user/jane")
    assert await store.subject_keys() == []
    await store.delivered([OUTBOX.id], NOW + 5)
    assert await store.outbox() == [msgspec.structs.replace(OUTBOX, delivered=NOW + 5)]


@on_every_store
async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await look(store, Lock())
    with pytest.raises(StoreError, match="closed"):
        await store.windows(NOW)


def test_the_scope_of_an_account() -> None:
    narrow = ledgers.account(match=Match(models=("gpt-*",)))
    policy = ledgers.account(Target(TargetKind.POLICY, "ns/costs"), match=Match(models=("gpt-*",)))
    each = ledgers.account(Target(TargetKind.USER))
    assert rows.scope(ACCOUNT, ACCOUNT.key) == "team/payments"
    assert rows.scope(narrow, narrow.key) == narrow.key
    assert rows.scope(policy, policy.key) == "policy/ns/costs"
    assert rows.scope(each, f"{each.key}|jane") == "user/jane"
