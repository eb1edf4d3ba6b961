"""What statuses read, of every store alike: each sum is what a look at the single rows gives."""

import itertools

from llmgov.ledger import rows
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import AccountRow, ApprovalKind, ApprovalRow, ApprovalState, ViolationRow, Window
from llmgov.ledger.store import Store
from llmgov.ledger.violated import Violated
from llmgov.policy.decision import Action
from llmgov.snapshot import Target, TargetKind
from tests.support import ledgers
from tests.support.ledgers import NOW, USD, on_every_store

USERS = ledgers.account(Target(TargetKind.USER))
TEAM = ledgers.account()
START, END = NOW - 1000, NOW + 1000


def _violation(
    number: int, policy: str, action: Action, reason: str = "pattern:ssn", user: str | None = None
) -> ViolationRow:
    return ViolationRow(
        f"e/{number:03}", 0, NOW + number, policy, action, reason, "found", False, "ns", "sa", user, "m", 1 + number % 3
    )


VIOLATIONS = [
    *(_violation(number, "ns/pii", Action.REDACT) for number in range(15)),
    *(_violation(20 + number, "ns/pii", Action.DENY) for number in range(4)),
    _violation(30, "ns/fr\x00m", Action.FLAG),
    _violation(40, "Budget/root/all", Action.DENY, "budget_exhausted", "jane"),
    _violation(42, "Budget/root/all", Action.DENY, "budget_exhausted", "jane"),
    _violation(41, "Budget/root/all", Action.DENY, "budget_exhausted", "joe"),
    _violation(43, "Budget/root/all", Action.DENY, "threshold:90"),
    _violation(50, "Budget/root/team", Action.DENY, "budget_exhausted"),
]


async def _put_violations(store: Store) -> None:
    def step(book: Book) -> None:
        book.put.violations.extend(reversed(VIOLATIONS))

    await store.transact(Lock(), step)


TIMES = [(0, NOW * 2), (NOW + 3, NOW + 42), (NOW * 2, NOW * 3)]


@on_every_store
async def test_violations_are_summed_up_by_policy_in_any_time(store: Store) -> None:
    await _put_violations(store)
    for start, end in TIMES:
        inside = [row for row in VIOLATIONS if start <= row.at < end]
        found = await store.violated(start, end)
        assert list(found) == sorted({row.policy for row in inside})
        for policy, summed in found.items():
            _is_sum_of(summed, sorted((row for row in inside if row.policy == policy), key=lambda row: row.at))


def _is_sum_of(summed: Violated, found: list[ViolationRow]) -> None:
    for action in Action:
        assert summed.counts.get(action, 0) == sum(row.count for row in found if row.action is action)
    assert summed.recent == tuple(found[-10:])
    refusals = [row for row in found if row.reason == "budget_exhausted"]
    for user in {row.user or "" for row in VIOLATIONS}:
        assert summed.refused.get(user) == max((row.at for row in refusals if (row.user or "") == user), default=None)


def _window(account: str, base: str = "", start: int = START, end: int = END, **money: int) -> Window:
    return Window(account, f"scope/{account}", start, end, 10**9, base=base, **money)


@on_every_store
async def test_of_an_account_that_each_user_has_the_window_nearest_to_the_limit_is_read(store: Store) -> None:
    base = USERS.key
    nearest = _window(f"{base}|jane", base, spent=2 * USD, unknown=2 * USD)
    other = _window("other|ann", "other", leased=2)
    team = _window(TEAM.key, spent=9 * USD)
    windows = [
        team,
        nearest,
        _window(f"{base}|joe", base, spent=3 * USD, leased=9 * USD),
        _window(f"{base}|kim", base, spent=USD),
        _window(f"{base}|old", base, START - 1000, START, spent=99 * USD),
        other,
        _window("other|bob", "other", leased=1),
        _window("other|eve", "other", leased=2),
    ]

    def step(book: Book) -> None:
        for window in windows:
            definition = USERS if window.base else TEAM
            book.put_account(AccountRow(window.account, window.scope, definition))
            book.put_window(window)

    await store.transact(Lock(), step)
    assert await store.nearest_windows(NOW) == sorted([team, nearest, other], key=lambda row: row.account)
    assert await store.nearest_windows(START - 1) == [windows[4]]


@on_every_store
async def test_opened_thresholds_are_those_approved_in_windows_that_have_not_ended(store: Store) -> None:
    def row(kind: ApprovalKind, state: ApprovalState, expires: int) -> ApprovalRow:
        id_ = f"{kind.value}-{state.value}-{expires - NOW}"
        return rows.ApprovalRow(id_, kind, "Budget/x", "", 0, expires, state, TEAM.key, START, 90)

    given = [row(*each) for each in itertools.product(ApprovalKind, ApprovalState, (NOW, NOW + 1, NOW + 2))]

    def step(book: Book) -> None:
        for each in given:
            book.put_approval(each)

    await store.transact(Lock(), step)
    assert [each.id for each in await store.opened(NOW)] == ["threshold-approved-1", "threshold-approved-2"]
