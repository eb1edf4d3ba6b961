"""Which names a transaction locks: what its `Lock` states, what rows add, and in which order."""

import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.ledger.book import Ended, Lock, Put, WindowLock
from llmgov.ledger.messages import Charged
from llmgov.ledger.rows import (
    AccountRow,
    ApprovalKind,
    ApprovalRow,
    Attempt,
    EpochRow,
    LeaseRow,
    LeaseState,
    LedgerEpoch,
    Window,
)
from llmgov.ledger.windows import Span
from llmgov_store.postgres import hinting, locking
from llmgov_store.postgres.hinting import Hints
from llmgov_store.working import WorkingSet
from tests.support import ledgers
from tests.support.ledgers import NOW

ACCOUNT = ledgers.account()
KEY = ACCOUNT.key
SPAN = Span(NOW - 10, NOW + 10)
WINDOW = Window(KEY, "team/before", *SPAN, 1)
LEASE = LeaseRow("pod:1/7/0", KEY, *SPAN, "pod", 1, 5, NOW)
INTENT = ledgers.intent("pod:1/9", 5, (Charged(LEASE.id, KEY, 5),), who=ledgers.subject(path=("a", "b")))
THRESHOLD = ApprovalRow("t", ApprovalKind.THRESHOLD, "p", "s", 1, 2, account=KEY, window_start=SPAN.start)


def working(**rows: object) -> WorkingSet:
    made = WorkingSet()
    made.apply(Put(accounts={KEY: AccountRow(KEY, "team/now", ACCOUNT)}, windows={(KEY, SPAN.start): WINDOW}))
    made.apply(Put(**rows))  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    ("lock", "names"),
    [
        (Lock(windows=(WindowLock(KEY, "team/now", SPAN),)), {"scope/team/now", f"account/{KEY}"}),
        (Lock(leases=("pod:1/7/0",)), {"holder/pod"}),
        (Lock(returns=(("a:b:12/7/0", 1),)), {"holder/a:b"}),
        (Lock(leases_of=("pod",), holders=("other",)), {"holder/pod", "holder/other"}),
        (Lock(attempts=("pod:1/9",), events=("else:2/3",)), {"holder/pod", "holder/else"}),
        (Lock(intents=(INTENT,)), {"scope/a", "scope/b", f"account/{KEY}"}),
        (Lock(approvals=("t",), approval_kinds=(ApprovalKind.OVERRUN,)), {"approval/t", "kind/overrun"}),
        (Lock(writer="hub", subjects=("user/jane",), corrections=("c",)), {"writer/hub", "subject/user/jane",
                                                                          "correction/c"}),
    ],
    ids=["a window", "a lease", "a return", "a holder's leases", "attempts and events", "an intent", "approvals",
         "audit and corrections"],
)  # fmt: skip
def test_what_a_lock_states_is_locked_for_it_alone(lock: Lock, names: set[str]) -> None:
    assert locking.stated(lock) == dict.fromkeys(names, True)


def test_what_is_only_relied_on_is_shared_unless_somebody_changes_it() -> None:
    relies, changes = Lock(edition=True, ledger_epoch=True), Lock(configuration="test")
    assert locking.stated(relies) == {"configuration": False, "ledger epoch": False}
    both = locking.merged([locking.stated(changes), locking.stated(relies)])
    assert both == {"configuration": True, "ledger epoch": False}
    assert locking.written(Put()) == {}
    assert locking.written(Put(ledger_epoch=LedgerEpoch("x", 1, 1))) == {"ledger epoch": True}


@pytest.mark.parametrize(
    ("lock", "rows", "names"),
    [
        (Lock(leases=(LEASE.id,)), {"leases": {LEASE.id: LEASE}}, {"scope/team/before"}),
        (Lock(leases_of=("pod",)), {"leases": {LEASE.id: LEASE}}, {"scope/team/before"}),
        (
            Lock(leases_of=("pod",)),
            {"leases": {LEASE.id: msgspec.structs.replace(LEASE, state=LeaseState.FINAL, returned=5)}},
            set(),
        ),
        (Lock(windows=(WindowLock(KEY, "team/now", SPAN),)), {}, {"scope/team/before"}),
        (
            Lock(attempts=(INTENT.id,)),
            {"attempts": {INTENT.id: Attempt(INTENT.id, INTENT)}, "leases": {LEASE.id: LEASE}},
            {"scope/a", "scope/b", f"account/{KEY}", "scope/team/now", "scope/team/before"},
        ),
        (Lock(approvals=("t",)), {"approvals": {"t": THRESHOLD}}, {"scope/team/before"}),
        (
            Lock(approval_kinds=(ApprovalKind.OVERRUN, ApprovalKind.REQUEST)),
            {
                "approvals": {
                    "o": msgspec.structs.replace(THRESHOLD, id="o", kind=ApprovalKind.OVERRUN),
                    "r": msgspec.structs.replace(THRESHOLD, id="r", kind=ApprovalKind.REQUEST),
                }
            },
            {"kind/overrun", "approval/r"},
        ),
        (Lock(windows=(WindowLock("base|jane", "user/jane", SPAN, "base"),)), {}, {"users/base"}),
        (
            Lock(ended=Ended(NOW, 5)),
            {"epochs": {"gone": EpochRow("gone", 1, gone=1)}},
            {"scope/team/before", f"account/{KEY}", "holder/gone"},
        ),
    ],
    ids=["a lease's window has its own scope", "a holder's leases", "those that are over are not loaded",
         "a window that was opened under another scope", "a stored intent", "a threshold's approval",
         "all of some kinds", "a user's first window", "what may be removed"],
)  # fmt: skip
def test_rows_add_the_names_that_protect_them(lock: Lock, rows: dict[str, object], names: set[str]) -> None:
    assert locking.found(lock, working(**rows)) == dict.fromkeys(names, True)


@given(st.dictionaries(st.text(), st.booleans()), st.randoms())
def test_everybody_takes_the_same_locks_in_the_same_order(names: dict[str, bool], random: object) -> None:
    shuffled = list(names.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    numbers, alone = locking.numbered(dict(shuffled))
    assert (numbers, alone) == locking.numbered(names)
    assert numbers == sorted(set(numbers))
    assert all(-(2**63) <= number < 2**63 for number in numbers)
    assert len(numbers) == len(names)


def test_a_replica_remembers_the_scopes_of_what_it_wrote() -> None:
    hints = Hints()
    put = Put(leases={LEASE.id: LEASE}, attempts={INTENT.id: Attempt(INTENT.id, INTENT)})
    hints.learn(put, {KEY: "team/before"})
    settles, returns = Lock(attempts=(INTENT.id,)), Lock(leases=(LEASE.id, "unknown"))
    everything = {"scope/a", "scope/b", f"account/{KEY}", "scope/team/before"}
    assert hints.names(settles) == dict.fromkeys(everything, True)
    assert hints.names(returns) == {"scope/team/before": True}
    settled = dataclasses.replace(put, attempts={INTENT.id: Attempt(INTENT.id, INTENT, ledgers.settlement("x", 1))})
    hints.learn(settled, {KEY: "team/before"})
    assert hints.names(settles) == {}


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hinting, "KEPT", 3)
    hints = Hints()
    for number in range(5):
        lease = msgspec.structs.replace(LEASE, id=f"lease-{number}")
        hints.learn(Put(leases={lease.id: lease}), {KEY: "s"})
    assert [bool(hints.names(Lock(leases=(f"lease-{number}",)))) for number in range(5)] == [False] * 2 + [True] * 3
