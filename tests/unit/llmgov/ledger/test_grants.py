"""The ledger's answer to lease requests: amounts, thresholds, fencing, repetition, approvals."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov import instants
from llmgov.ledger import grants
from llmgov.ledger.book import Book
from llmgov.ledger.definitions import InForce
from llmgov.ledger.errors import BadInputError
from llmgov.ledger.messages import Epoch, LeaseGrant, LeaseRefusal, LeaseRequest, Need, Why
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState, EpochRow, Window
from llmgov.snapshot import Account, Target, TargetKind, Threshold, ThresholdAction, approval_id, user_account_key
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, USD

TEAM, ORGANIZATION = ledgers.TEAM, Target(TargetKind.ORGANIZATION)
APPROVE_AT_90 = (
    Threshold(50, (ThresholdAction.NOTIFY_USERS, ThresholdAction.NOTIFY_ADMINS)),
    Threshold(90, (ThresholdAction.REQUIRE_APPROVAL,)),
    Threshold(100, (ThresholdAction.BLOCK,)),
)


def need(account: Account, least: int, want: int | None = None, enforced: bool = True) -> Need:
    return Need(account.key, account, least, least if want is None else want, enforced)


def request(*needs: Need, number: int = 1, epoch: Epoch | None = None, approval: str | None = None) -> LeaseRequest:
    return LeaseRequest(epoch or ledgers.epoch(), number, needs, ledgers.PATH, approval)


def window(account: Account, spent: int = 0, leased: int = 0, unknown: int = 0, nano_usd: int = 10**9) -> Window:
    start, end = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"
    return Window(
        account.key,
        str(account.target),
        instants.from_rfc3339(start),
        instants.from_rfc3339(end),
        nano_usd,
        spent,
        leased,
        unknown,
        currency=account.currency,
    )


def book(*windows: Window, approvals: tuple[ApprovalRow, ...] = (), boots: int = 1) -> Book:
    """The rows that a request is decided by; of its holder one boot was given out, or as many as `boots` says."""
    return Book(
        windows={(row.account, row.start): row for row in windows},
        approvals={row.id: row for row in approvals},
        epochs={"pod-1": EpochRow("pod-1", 0, given=boots)},
    )


def granted(reply: LeaseGrant | LeaseRefusal) -> LeaseGrant:
    assert isinstance(reply, LeaseGrant), reply
    return reply


def refused(reply: LeaseGrant | LeaseRefusal) -> LeaseRefusal:
    assert isinstance(reply, LeaseRefusal), reply
    return reply


def ask(rows: Book, wanted: LeaseRequest, **definitions: Account) -> LeaseGrant | LeaseRefusal:
    return grants.grant(rows, wanted, {account.key: account for account in definitions.values()}, NOW)


def test_the_first_use_opens_the_window_and_lends_from_it() -> None:
    account, rows = ledgers.account(), book()
    (lease,) = granted(ask(rows, request(need(account, 10 * CENT)))).leases
    assert (lease.id, lease.key, lease.over) == ("pod-1:1/1/0", account.key, None)
    assert instants.to_rfc3339(lease.window_start) == "2026-11-01T00:00:00Z"
    assert instants.to_rfc3339(lease.window_end) == "2026-12-01T00:00:00Z"
    assert lease.deadline == NOW + grants.LEASE_LIFE
    assert rows.put.windows == {(account.key, lease.window_start): window(account, leased=lease.amount)}
    assert rows.put.epochs == {"pod-1": EpochRow("pod-1", 1)}


def test_a_lease_ends_with_its_window() -> None:
    account, late = ledgers.account(), instants.from_rfc3339("2026-11-30T23:59:59Z")
    reply = granted(grants.grant(book(), request(need(account, CENT)), {}, late))
    assert reply.leases[0].deadline == reply.leases[0].window_end == instants.from_rfc3339("2026-12-01T00:00:00Z")


def test_a_window_begins_with_what_its_scope_spent_and_tells_of_thresholds() -> None:
    account = ledgers.account(thresholds=APPROVE_AT_90)
    rows = book()
    rows.backfill[account.key, window(account).start] = 3 * USD
    granted(ask(rows, request(need(account, CENT))))
    (row,) = rows.put.windows.values()
    assert (row.spent, row.told) == (3 * USD, (50,))
    assert sorted(entry.audience for entry in rows.put.outbox.values()) == ["Admins", "Users"]


@pytest.mark.parametrize(
    ("spent", "leased", "unknown", "least", "passes"),
    [
        (0, 0, 0, 5 * USD, True),
        (0, 0, 0, 5 * USD + 1, False),
        (2 * USD, 2 * USD, USD - 1, 1, True),
        (2 * USD, 2 * USD, USD, 1, False),
        (6 * USD, 0, 0, 1, False),
    ],
    ids=[
        "the whole limit may be lent",
        "not more than the limit",
        "what is spent, leased and unknown counts",
        "nothing is left",
        "nothing is lent of a limit that was lowered below what is spent",
    ],
)
def test_never_more_than_the_limit(spent: int, leased: int, unknown: int, least: int, passes: bool) -> None:
    account = ledgers.account()
    reply = ask(book(window(account, spent, leased, unknown)), request(need(account, least)))
    assert isinstance(reply, LeaseGrant) is passes


def test_a_refusal_says_what_is_left_of_which_limit_until_when() -> None:
    account = ledgers.account()
    reply = refused(ask(book(window(account, spent=4 * USD)), request(need(account, 2 * USD))))
    assert (reply.why, reply.key, reply.remaining, reply.limit) == (Why.EXHAUSTED, account.key, USD, 5 * USD)
    assert (reply.threshold, reply.source, reply.approval) == (100, account.source, None)
    assert reply.window_end == window(account).end


def test_all_accounts_of_a_path_or_none() -> None:
    team, organization = ledgers.account(), ledgers.account(ORGANIZATION, limit=CENT)
    rows = book(window(team), window(organization))
    reply = refused(ask(rows, request(need(team, USD), need(organization, USD))))
    assert reply.key == organization.key
    assert not rows.put.leases
    assert not rows.put.windows


def test_the_ledgers_own_definition_decides() -> None:
    believed = ledgers.account(limit=100 * USD)
    lowered = ledgers.account(limit=USD)
    reply = refused(ask(book(), request(need(believed, 2 * USD)), own=lowered))
    assert (reply.limit, reply.remaining) == (USD, USD)


def test_an_older_epoch_is_fenced_and_a_newer_one_fences() -> None:
    account, rows = ledgers.account(), book(boots=2)
    granted(ask(rows, request(need(account, CENT), epoch=ledgers.epoch(number=2))))
    assert rows.epochs["pod-1"].number == 2
    reply = refused(ask(rows, request(need(account, CENT), number=9, epoch=ledgers.epoch(number=1))))
    assert reply.why is Why.FENCED


def test_a_repeated_request_gets_the_same_leases_and_nothing_more() -> None:
    account, rows = ledgers.account(), book()
    first = ask(rows, request(need(account, CENT)))
    lent = rows.windows[account.key, window(account).start].leased
    assert ask(rows, request(need(account, CENT))) == first
    assert rows.windows[account.key, window(account).start].leased == lent


def test_the_rate_of_a_currency_is_fixed_with_the_window() -> None:
    euros = ledgers.account(currency="EUR", nano_usd=1_200_000_000)
    dearer = msgspec.structs.replace(euros, nano_usd=2_000_000_000)
    rows = book()
    granted(ask(rows, request(need(euros, USD))))
    reply = refused(ask(rows, request(need(dearer, 6 * USD), number=2)))
    assert reply.limit == 6 * USD


@pytest.mark.parametrize(
    "wanted",
    [request(need(ledgers.account(), 1), need(ledgers.account(), 1)), request(need(ledgers.account(), 2, 1))],
    ids=["one account twice", "wants less than it needs"],
)
def test_a_request_that_contradicts_itself_is_an_error(wanted: LeaseRequest) -> None:
    with pytest.raises(BadInputError, match="needs"):
        grants.lock(wanted, {}, NOW)


@pytest.mark.parametrize("of_users", [False, True], ids=["an account", "a user's own account"])
def test_a_definition_that_is_in_force_is_looked_at_once_and_any_other_each_time(of_users: bool) -> None:
    account = ledgers.account(target=Target(TargetKind.USER)) if of_users else ledgers.account()
    key = user_account_key(account.key, "jane") if of_users else account.key
    in_force = InForce({account.key: account})
    for number in (1, 2):
        grants.lock(request(Need(key, account, 1, 1), number=number), in_force, NOW)
    assert in_force.sound == {account.key}
    forged = msgspec.structs.replace(account, source=" ")
    with pytest.raises(BadInputError, match=r"needs\[0\].account.source"):
        grants.lock(request(Need(key, forged, 1, 1), number=3), in_force, NOW)


def test_a_definition_that_cannot_be_is_refused_each_time_although_it_is_in_force() -> None:
    account = msgspec.structs.replace(ledgers.account(), time_zone="Mars/Olympus")
    in_force = InForce({account.key: account})
    for number in (1, 2):
        with pytest.raises(BadInputError, match="time_zone"):
            grants.lock(request(need(account, 1), number=number), in_force, NOW)


def test_a_refused_request_is_not_granted_when_a_copy_of_it_arrives_late() -> None:
    account = ledgers.account()
    rows = book(window(account, spent=5 * USD))
    refused(ask(rows, request(need(account, 1))))
    rows.put_window(window(account))
    assert refused(ask(rows, request(need(account, 1)))).why is Why.CLOSED
    later = msgspec.structs.replace(request(need(account, 1), number=2), closed=2)
    granted(ask(rows, later))
    assert rows.epochs["pod-1"] == EpochRow("pod-1", 1, closed=2, refused=())
    assert refused(ask(rows, request(need(account, 1)))).why is Why.CLOSED


def test_a_refusal_that_is_not_final_leaves_no_trace() -> None:
    account = ledgers.account(thresholds=APPROVE_AT_90)
    rows = book(window(account, spent=4_500_000))
    reply = refused(grants.grant(rows, request(need(account, 1)), {}, NOW, final=False))
    assert (reply.why, reply.remaining) == (Why.EXHAUSTED, 0)
    assert not rows.put.approvals
    assert rows.epochs["pod-1"].refused == ()


def test_an_account_that_has_nothing_left_does_not_stop_a_request_that_needs_nothing_of_it() -> None:
    empty, full = ledgers.account(ORGANIZATION), ledgers.account()
    rows = book(window(empty, spent=5 * USD), window(full))
    (lease,) = granted(ask(rows, request(need(empty, 0, CENT), need(full, CENT)))).leases
    assert lease.key == full.key
    refused(ask(rows, request(need(empty, 0, CENT), number=2)))


class TestThresholds:
    def test_no_lease_crosses_the_next_acting_threshold(self) -> None:
        account = ledgers.account(thresholds=APPROVE_AT_90)
        rows = book(window(account, spent=4 * USD))
        granted(ask(rows, request(need(account, USD // 2))))
        assert rows.windows[account.key, window(account).start].used == 4_500_000

    def test_beyond_it_an_approval_is_asked_for_once(self) -> None:
        account = ledgers.account(thresholds=APPROVE_AT_90)
        rows = book(window(account, spent=4_500_000))
        first = refused(ask(rows, request(need(account, 1))))
        (pending,) = rows.put.approvals.values()
        assert (first.why, first.threshold, first.approval) == (Why.APPROVAL, 90, pending.id)
        assert (pending.kind, pending.account, pending.threshold) == (ApprovalKind.THRESHOLD, account.key, 90)
        assert (pending.window_start, pending.expires) == (window(account).start, window(account).end)
        assert len(rows.put.outbox) == 1
        again = refused(ask(rows, request(need(account, 1), number=2)))
        assert again.approval == pending.id
        assert len(rows.put.approvals) == len(rows.put.outbox) == 1

    @pytest.mark.parametrize(
        ("state", "passes", "why"),
        [
            (ApprovalState.APPROVED, True, None),
            (ApprovalState.DENIED, False, Why.EXHAUSTED),
            (ApprovalState.PENDING, False, Why.APPROVAL),
        ],
    )
    def test_a_decision_opens_or_closes_it(self, state: ApprovalState, passes: bool, why: Why | None) -> None:
        account = ledgers.account(thresholds=APPROVE_AT_90)
        row = self.approval(account, state)
        reply = ask(book(window(account, spent=4_500_000), approvals=(row,)), request(need(account, USD // 2)))
        assert isinstance(reply, LeaseGrant) is passes
        assert getattr(reply, "why", None) is why

    def test_a_refusal_says_why_the_approval_was_denied_and_how_the_limit_was_written(self) -> None:
        account = msgspec.structs.replace(ledgers.account(thresholds=APPROVE_AT_90), currency="EUR")
        row = msgspec.structs.replace(self.approval(account, ApprovalState.DENIED), reason="too \n dear")
        reply = refused(ask(book(window(account, spent=4_500_000), approvals=(row,)), request(need(account, USD // 2))))
        assert (reply.denied, reply.approval, reply.threshold) == ("too dear", None, 90)
        assert (reply.units, reply.currency, reply.nano_usd) == (account.limit, "EUR", account.nano_usd)

    @pytest.mark.parametrize(
        ("path", "who", "requested_by"),
        [
            (ledgers.PATH, "payments/app", "payments/app"),
            ((*ledgers.PATH, "user/jane"), "jane in payments/app", "jane"),
        ],
        ids=["a workload", "a user"],
    )
    def test_who_decides_is_told_which_request_asked_for_how_much_and_by_whom(
        self, path: tuple[str, ...], who: str, requested_by: str
    ) -> None:
        account, rows = ledgers.account(thresholds=APPROVE_AT_90), book()
        wanted = LeaseRequest(
            ledgers.epoch(), 1, (need(account, 470 * CENT),), path, least=480 * CENT, request_id="req-7"
        )
        refused(ask(rows, wanted))
        (row,) = rows.put.approvals.values()
        what = f"spend beyond 90 % of {account.source} ($5.00)"
        assert row.summary == f"{what}, first for $4.80 of {who}; request req-7"
        assert row.requested_by == requested_by
        (notice,) = rows.put.outbox.values()
        assert notice.message == f"{account.source} waits for an approval: {row.summary}"
        later = msgspec.structs.replace(wanted, request=2, request_id="req-8")
        refused(ask(rows, later))
        assert list(rows.put.approvals.values()) == [row], "the first one stays"

    def test_an_approval_in_another_currency_says_how_much_in_that(self) -> None:
        account = ledgers.account(thresholds=APPROVE_AT_90, limit=10 * USD)
        account = msgspec.structs.replace(account, currency="EUR", nano_usd=2 * 10**9, limit=5 * USD)
        rows = book()
        refused(ask(rows, request(need(account, 10 * USD - 1))))
        (row,) = rows.put.approvals.values()
        assert row.summary.endswith("(5.00 EUR), first for 5.00 EUR of payments/app")

    def test_an_approval_opens_up_to_the_next_acting_threshold_only(self) -> None:
        thresholds = (
            Threshold(50, (ThresholdAction.REQUIRE_APPROVAL,)),
            Threshold(80, (ThresholdAction.REQUIRE_APPROVAL,)),
        )
        account = ledgers.account(thresholds=thresholds)
        row = self.approval(account, ApprovalState.APPROVED, threshold=50)
        reply = refused(ask(book(window(account), approvals=(row,)), request(need(account, 4 * USD + 1))))
        assert (reply.threshold, reply.remaining) == (80, 4 * USD)

    def test_an_approval_of_another_window_opens_nothing(self) -> None:
        account = ledgers.account(thresholds=APPROVE_AT_90)
        row = msgspec.structs.replace(self.approval(account, ApprovalState.APPROVED), window_start=0)
        refused(ask(book(window(account, spent=4_500_000), approvals=(row,)), request(need(account, 1))))

    def test_the_limit_itself_cannot_be_opened(self) -> None:
        account = ledgers.account(thresholds=(Threshold(100, (ThresholdAction.REQUIRE_APPROVAL,)),))
        rows = book(window(account, spent=5 * USD))
        assert refused(ask(rows, request(need(account, 1)))).why is Why.EXHAUSTED
        assert not rows.put.approvals

    def test_an_account_that_only_notifies_still_has_its_limit(self) -> None:
        account = ledgers.account(thresholds=(Threshold(50, (ThresholdAction.NOTIFY_USERS,)),))
        refused(ask(book(window(account)), request(need(account, 5 * USD + 1))))

    @staticmethod
    def approval(account: Account, state: ApprovalState, threshold: int = 90) -> ApprovalRow:
        start = window(account).start
        return ApprovalRow(
            approval_id(f"{account.key}/{start}/{threshold}"),
            ApprovalKind.THRESHOLD, account.source, "more", NOW, window(account).end, state,
            account=account.key, window_start=start, threshold=threshold,
        )  # fmt: skip


THREE_STEPS = (
    Threshold(50, (ThresholdAction.REQUIRE_APPROVAL,)),
    Threshold(75, (ThresholdAction.REQUIRE_APPROVAL,)),
    Threshold(90, (ThresholdAction.BLOCK,)),
)
"""Of $5: asks at $2.50 and $3.75, ends at $4.50."""


class TestWhomAnApprovalCannotHelp:
    @pytest.mark.parametrize(
        ("spent", "least", "opened", "why", "threshold"),
        [
            (0, 250 * CENT, (), None, None),
            (0, 250 * CENT + 1, (), Why.APPROVAL, 50),
            (0, 450 * CENT, (), Why.APPROVAL, 50),
            (0, 450 * CENT + 1, (), Why.EXHAUSTED, 50),
            (300 * CENT, 150 * CENT, (), Why.APPROVAL, 50),
            (300 * CENT, 150 * CENT + 1, (), Why.EXHAUSTED, 50),
            (300 * CENT, 150 * CENT, (50,), Why.APPROVAL, 75),
            (300 * CENT, 150 * CENT + 1, (50,), Why.EXHAUSTED, 75),
            (300 * CENT, 150 * CENT, (50, 75), None, None),
            (300 * CENT, 150 * CENT + 1, (50, 75), Why.EXHAUSTED, 90),
            (450 * CENT, 1, (), Why.EXHAUSTED, 50),
            (700 * CENT, 1, (50, 75), Why.EXHAUSTED, 90),
        ],
        ids=[
            "up to the first threshold nobody is asked",
            "just beyond it an approval is asked for",
            "two approvals together pay for it: the first is asked for",
            "all approvals together do not pay for it",
            "what is spent already counts",
            "what is spent already leaves too little even with all approvals",
            "the second approval pays for it",
            "the second approval does not pay for it",
            "everything is opened and pays for it",
            "everything is opened and does not pay for it",
            "the blocking threshold is reached though none before it was opened",
            "the limit was lowered below what is spent",
        ],
    )
    def test_is_exhausted_and_nobody_is_asked(
        self, spent: int, least: int, opened: tuple[int, ...], why: Why | None, threshold: int | None
    ) -> None:
        account = ledgers.account(thresholds=THREE_STEPS)
        granted_before = tuple(TestThresholds.approval(account, ApprovalState.APPROVED, each) for each in opened)
        rows = book(window(account, spent), approvals=granted_before)
        reply = ask(rows, request(need(account, least)))
        assert (getattr(reply, "why", None), getattr(reply, "threshold", None)) == (why, threshold)
        asked = [row.threshold for row in rows.put.approvals.values()]
        assert asked == ([threshold] if why is Why.APPROVAL else [])
        assert len(rows.put.outbox) == len(asked)

    def test_asks_for_a_request_dearer_than_the_whole_limit(self) -> None:
        account = ledgers.account(limit=2_000, thresholds=(Threshold(50, (ThresholdAction.REQUIRE_APPROVAL,)),))
        reply = refused(ask(book(), request(need(account, 34_500))))
        assert (reply.why, reply.approval, reply.remaining) == (Why.EXHAUSTED, None, 1_000)

    def test_what_is_idle_with_who_asks_does_not_count_twice(self) -> None:
        """It asks for less than the attempt needs, since it holds the rest; approvals must pay for the whole."""
        account = ledgers.account(thresholds=THREE_STEPS)
        lent = window(account, spent=150 * CENT, leased=100 * CENT)
        asking = msgspec.structs.replace(request(need(account, 250 * CENT)), least=300 * CENT + 1)
        reply = refused(ask(book(lent), asking))
        assert (reply.why, reply.approval) == (Why.EXHAUSTED, None)
        reply = refused(ask(book(lent), msgspec.structs.replace(asking, least=300 * CENT)))
        assert reply.why is Why.APPROVAL

    def test_what_is_only_lent_does_not_make_it_exhausted(self) -> None:
        """Other attempts hold it now; once approved, and sent again, they may have given it back."""
        account = ledgers.account(thresholds=THREE_STEPS)
        lent = window(account, leased=account.limit)
        reply = refused(ask(book(lent), request(need(account, USD))))
        assert (reply.why, reply.threshold) == (Why.APPROVAL, 50)

    @pytest.mark.parametrize("first", [0, 1], ids=["the other one first", "the other one last"])
    @pytest.mark.parametrize(
        ("state", "spent", "why", "key"),
        [
            (None, 5 * USD, Why.EXHAUSTED, "organization"),
            (None, 4_500_000, Why.APPROVAL, "either"),
            (ApprovalState.DENIED, 4_500_000, Why.EXHAUSTED, "team"),
            (ApprovalState.DENIED, 5 * USD, Why.EXHAUSTED, "organization"),
        ],
        ids=["an exhausted one", "one that asks, too", "one that was not denied", "a denied and an exhausted one"],
    )
    def test_has_the_strictest_account_answer(
        self, first: int, state: ApprovalState | None, spent: int, why: Why, key: str
    ) -> None:
        team, organization = (ledgers.account(target, thresholds=APPROVE_AT_90) for target in (TEAM, ORGANIZATION))
        decided = () if state is None else (TestThresholds.approval(team, state),)
        rows = book(window(team, 4_500_000), window(organization, spent), approvals=decided)
        needs = [need(team, CENT), need(organization, CENT)]
        reply = refused(ask(rows, request(needs[first], needs[1 - first])))
        assert reply.why is why
        named = {team.key: "team", organization.key: "organization"}[reply.key]
        assert key in (named, "either")
        assert len(rows.put.approvals) == (1 if why is Why.APPROVAL else 0)


class TestUnenforced:
    @pytest.mark.parametrize(
        ("spent", "over"),
        [(240 * CENT, None), (250 * CENT, 50), (449 * CENT, 50), (450 * CENT, 90), (6 * USD, 90)],
        ids=["below", "approvals would open it", "as long as they pay", "where no approval helps", "far beyond"],
    )
    def test_says_what_would_have_stopped_it(self, spent: int, over: int | None) -> None:
        account = ledgers.account(dry_run=True, thresholds=THREE_STEPS)
        (lease,) = granted(ask(book(window(account, spent)), request(need(account, CENT)))).leases
        assert lease.over == over

    @pytest.mark.parametrize("by_account", [True, False], ids=["an account in dry run", "a need that is not enforced"])
    def test_is_lent_to_and_told(self, by_account: bool) -> None:
        account = ledgers.account(dry_run=by_account)
        rows = book(window(account, spent=5 * USD))
        (lease,) = granted(ask(rows, request(need(account, CENT, 3 * CENT, enforced=by_account)))).leases
        assert (lease.amount, lease.over) == (3 * CENT, 100), "what is not enforced lowers no output"

    def test_is_nothing_special_below_its_limit(self) -> None:
        account = ledgers.account(dry_run=True)
        (lease,) = granted(ask(book(), request(need(account, CENT)))).leases
        assert lease.over is None


class TestRequestApprovals:
    ROW = ApprovalRow(
        "apr-9", ApprovalKind.REQUEST, "ns/p", "costly", NOW - 9, NOW + 9, ApprovalState.APPROVED, digest="d"
    )

    def test_is_consumed_with_the_grant_even_without_any_account(self) -> None:
        rows = book(approvals=(self.ROW,))
        granted(ask(rows, request(approval="apr-9")))
        used = rows.put.approvals["apr-9"]
        assert (used.state, used.used_by) == (ApprovalState.USED, "pod-1:1/1")

    def test_serves_one_request_however_often_it_is_repeated(self) -> None:
        rows = book(approvals=(self.ROW,))
        granted(ask(rows, request(approval="apr-9")))
        granted(ask(rows, request(approval="apr-9")))
        assert refused(ask(rows, request(approval="apr-9", number=2))).why is Why.APPROVAL

    def test_is_not_consumed_by_a_refusal(self) -> None:
        account = ledgers.account()
        rows = book(window(account, spent=5 * USD), approvals=(self.ROW,))
        refused(ask(rows, request(need(account, 1), approval="apr-9")))
        assert not rows.put.approvals

    @pytest.mark.parametrize(
        "row",
        [
            None,
            msgspec.structs.replace(ROW, state=ApprovalState.PENDING),
            msgspec.structs.replace(ROW, state=ApprovalState.DENIED),
            msgspec.structs.replace(ROW, state=ApprovalState.USED, used_by="pod-2:1/7"),
            msgspec.structs.replace(ROW, expires=NOW),
            msgspec.structs.replace(ROW, kind=ApprovalKind.THRESHOLD),
        ],
        ids=["unknown", "pending", "denied", "used", "expired", "of another kind"],
    )
    def test_must_be_open(self, row: ApprovalRow | None) -> None:
        rows = book(approvals=() if row is None else (row,))
        assert refused(ask(rows, request(approval="apr-9"))).why is Why.APPROVAL


AMOUNTS = st.integers(0, 20 * USD)


@given(free=AMOUNTS, least=AMOUNTS, more=AMOUNTS)
def test_a_lease_is_enough_and_leaves_something_for_others(free: int, least: int, more: int) -> None:
    account = ledgers.account()
    amount = grants.size(need(account, least, least + more), free)
    assert amount >= least
    assert amount <= max(least, free // 2)


def test_a_lease_is_generous_while_there_is_plenty_and_exact_near_the_limit() -> None:
    wanted = need(ledgers.account(), 10 * CENT)
    assert grants.size(wanted, 1000 * USD) == grants.AHEAD * 10 * CENT
    assert grants.size(wanted, 8 * USD) == USD
    assert grants.size(wanted, 15 * CENT) == 10 * CENT
