"""Random histories of spending, played through a hub; `books` has what happened and what it comes to.

Sidecars here are without a purse: each attempt asks for money, spends some, and gives the rest back or keeps it.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from hypothesis import strategies as st

from llmgov import instants, snapshot
from llmgov.ledger.corrections import Order
from llmgov.ledger.messages import (
    Charged,
    Epoch,
    Event,
    Intent,
    Lease,
    LeaseGrant,
    LeaseRequest,
    LeaseReturn,
    Need,
    Outcome,
    Settlement,
    Subject,
)
from llmgov.ledger.rows import CorrectionKind
from llmgov.ledger.store import Store
from llmgov.snapshot import Account, Match, OrganizationPart, Period, Target, TargetKind
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.books import Books, Dispatch, Loan
from tests.support.ledgers import CENT, NOW, USD

NAMESPACES = ("payments", "search", "batch")
TEAMS = ("payments", "search", "")
MODELS = ("gpt-4o", "o3")


def _budget(name: str, target: Target, period: Period, zone: str = "UTC", **fields: object) -> Account:
    key = snapshot.account_key("test", str(target), period, zone)
    return Account(key, target, 10_000 * USD, period, zone, f"Budget/llm-governance/{name}", **fields)  # type: ignore[arg-type]


_DEAR = Target(TargetKind.POLICY, "llm-governance/dear")
DEAR = Account(
    snapshot.account_key("test", str(_DEAR), Period.MONTH, "UTC"),
    _DEAR,
    40 * CENT,
    Period.MONTH,
    "UTC",
    "llm-governance/dear",
    match=Match(models=("openai/o3",)),
)
"""A policy's account, which counts what was charged to it and soon refuses."""

PEOPLE = _budget("people", Target(TargetKind.USER), Period.MONTH)
ACCOUNTS = (
    _budget("all", Target(TargetKind.ORGANIZATION), Period.MONTH),
    _budget("euros", Target(TargetKind.ORGANIZATION), Period.DAY, currency="EUR", nano_usd=1_093_700_000),
    _budget("payments", Target(TargetKind.TEAM, "payments"), Period.DAY, "Europe/Berlin"),
    _budget("engineering", Target(TargetKind.TEAM, "engineering"), Period.WEEK, "America/New_York"),
    _budget("batch", Target(TargetKind.NAMESPACE, "batch"), Period.HOUR),
    PEOPLE,
    DEAR,
)


@dataclasses.dataclass(frozen=True)
class Spend:
    """Pod `pod` dispatches: holds, and costs a share of the hold. `late` halves arrive with a later `Deliver`;
    `minutes` is how far its clock is off; `behind` says that it does not know the newest account yet."""

    pod: int
    user: str
    model: str
    hold: int
    percent: int
    outcome: Outcome
    late: tuple[bool, bool]
    minutes: int
    keeps: bool
    behind: bool


@dataclasses.dataclass(frozen=True)
class Deliver:
    """Everything late arrives."""


@dataclasses.dataclass(frozen=True)
class Lose:
    """A pod is gone with all that it holds; another one takes its place."""

    pod: int


@dataclasses.dataclass(frozen=True)
class Correct:
    """One of those that can be corrected is, by its place among them."""

    kind: CorrectionKind
    which: int
    amount: int


@dataclasses.dataclass(frozen=True)
class Pass:
    """Time goes by."""

    minutes: int


@dataclasses.dataclass(frozen=True)
class Move:
    """A namespace goes to another team."""

    namespace: int
    team: int


@dataclasses.dataclass(frozen=True)
class Begin:
    """One more account comes into force."""


Step: TypeAlias = Spend | Deliver | Lose | Correct | Pass | Move | Begin

_SPEND = st.builds(
    Spend,
    pod=st.integers(0, 2),
    user=st.sampled_from(("", "jane", "joe")),
    model=st.sampled_from(MODELS),
    hold=st.integers(1, 20 * CENT),
    percent=st.integers(0, 150),
    outcome=st.sampled_from(Outcome),
    late=st.tuples(st.booleans(), st.booleans()),
    minutes=st.integers(-90, 5),
    keeps=st.booleans(),
    behind=st.booleans(),
)
_CORRECT = st.builds(Correct, st.sampled_from(CorrectionKind), st.integers(0, 9), st.integers(0, USD))
_OTHER = st.one_of(
    st.just(Deliver()),
    st.builds(Lose, st.integers(0, 2)),
    st.builds(Lose, st.integers(0, 2)),
    *3 * [_CORRECT],
    st.builds(Pass, st.sampled_from((7, 50, 600, 2_000, 20_000))),
    st.builds(Move, st.integers(0, 2), st.integers(0, 2)),
    st.just(Begin()),
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A history: the accounts in the order in which they begin, how many of them at once, and what happens then."""

    accounts: Sequence[Account]
    first: int
    steps: Sequence[Step]


_ROUNDS = st.lists(st.tuples(st.lists(_SPEND, min_size=1, max_size=4), _OTHER), min_size=4, max_size=12)
_STEPS = _ROUNDS.map(lambda rounds: [step for spends, other in rounds for step in (*spends, other)])

PLANS = st.builds(Plan, st.permutations(ACCOUNTS), st.integers(1, len(ACCOUNTS)), _STEPS)


_LATE = Spend(0, "jane", "gpt-4o", 20 * CENT, 50, Outcome.SETTLED, (False, True), 0, keeps=True, behind=False)

KNOWN_LATE = Plan(
    ACCOUNTS,
    len(ACCOUNTS),
    [_LATE, _LATE, Lose(0), *(Correct(kind, 0, 35 * CENT) for kind in CorrectionKind), Deliver(), Pass(600)],
)
"""Lost leases are corrected, and then it is learnt what was spent from them."""


class History:
    """A plan that is being played into a store; `now` is the ledger's time."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.now = NOW
        self.books = Books()
        self.corrections = 0
        self.hub = Hub(store, lambda: self.now, recall_wait_seconds=0, recall_wait_elsewhere_seconds=0)
        self._plan = plan
        self._begun = plan.first
        self._teams = dict(zip(NAMESPACES, TEAMS, strict=True))
        self._pods = [Epoch(f"pod-{index}", 1) for index in range(len(NAMESPACES))]
        self._number = 0
        self._late: list[tuple[Event, Dispatch]] = []

    @property
    def accounts(self) -> Sequence[Account]:
        """Those in force."""
        return self._plan.accounts[: self._begun]

    async def play(self) -> None:
        """All of it."""
        await self._publish()
        for step in self._plan.steps:
            await self._take(step)

    async def _take(self, step: Step) -> None:
        match step:
            case Spend():
                await self._spend(step)
            case Deliver():
                await self._deliver(*self._late)
                self._late.clear()
            case Lose():
                await self._lose(step.pod)
            case Correct():
                await self._correct(step)
            case Pass():
                self.now += step.minutes * instants.MINUTE
            case Move():
                self._teams[NAMESPACES[step.namespace]] = TEAMS[step.team]
            case Begin():
                self._begun = min(self._begun + 1, len(self._plan.accounts))
                await self._publish()

    async def _publish(self) -> None:
        await self.hub.configuration.publish({"organization": OrganizationPart("test", accounts=tuple(self.accounts))})

    async def _spend(self, step: Spend) -> None:
        epoch, namespace = self._pods[step.pod], NAMESPACES[step.pod]
        team = self._teams[namespace]
        path = tuple(_path(namespace, team, step.user))
        known = self.accounts[: -1 if step.behind and len(self.accounts) > 1 else None]
        charged = dict(_charged(known, path, step))
        limited = (*path, str(_DEAR)) if DEAR.key in charged else path
        self._number += 1
        needs = tuple(Need(key, account, step.hold, 2 * step.hold) for key, account in charged.items())
        request = LeaseRequest(epoch, self._number, needs, limited, accounts=tuple(charged), least=step.hold)
        grant = await ledgers.lease(self.hub, request) if needs else LeaseGrant(self._number, (), self.now)
        if not isinstance(grant, LeaseGrant):
            return
        for lease in grant.leases:
            self.books.loans[lease.id] = self._loan(lease, epoch)
        parts = tuple(Charged(lease.id, lease.key, step.hold) for lease in grant.leases)
        cost = step.hold if _is_unknown(step.outcome) else step.hold * step.percent // 100
        cost = 0 if step.outcome is Outcome.FREE else cost
        attempt = Dispatch(
            f"{epoch}/{self._number}",
            namespace,
            team,
            step.user,
            f"openai/{step.model}",
            frozenset(limited),
            frozenset(target for target in limited if not target.startswith("user/")),
            step.hold,
            cost,
            _is_unknown(step.outcome),
            tuple(lease.id for lease in grant.leases),
        )
        self.books.attempts[attempt.id] = attempt
        await self._report(step, attempt, parts, limited)

    def _loan(self, lease: Lease, epoch: Epoch) -> Loan:
        return Loan(lease.key, lease.window_start, lease.window_end, lease.amount, epoch.holder)

    async def _report(self, step: Spend, attempt: Dispatch, parts: tuple[Charged, ...], path: tuple[str, ...]) -> None:
        at = self.now + step.minutes * instants.MINUTE
        teams = tuple(target.removeprefix("team/") for target in path if target.startswith("team/"))
        subject = Subject(
            attempt.namespace, "app", attempt.user or None, teams, path, "openai", step.model, "chat.completions"
        )
        halves: tuple[Event, Event] = (
            Intent(attempt.id, at, f"req-{self._number}", subject, step.hold, parts, ("v1",)),
            Settlement(
                attempt.id, at, step.outcome, attempt.cost, {}, 200, step.model, overrun=attempt.cost > step.hold
            ),
        )
        for half, late in zip(halves, step.late, strict=True):
            if late:
                self._late.append((half, attempt))
            else:
                await self._deliver((half, attempt))
        if not step.keeps and attempt.counts:
            await self._give_back(attempt)

    async def _deliver(self, *halves: tuple[Event, Dispatch]) -> None:
        await self.hub.deliver([half for half, _ in halves])
        for half, attempt in halves:
            if isinstance(half, Intent):
                self.books.begin(attempt, half.at, self.now)
            else:
                self.books.end(attempt)

    async def _give_back(self, attempt: Dispatch) -> None:
        epoch = self._pods[NAMESPACES.index(attempt.namespace)]
        for name in attempt.loans:
            loan = self.books.loans[name]
            rest = loan.outstanding
            await self.hub.give_back(LeaseReturn(epoch, name, 1, rest, final=True))
            loan.returned += rest

    async def _lose(self, pod: int) -> None:
        holder = self._pods[pod].holder
        await self.hub.leases.lose(holder)
        self.books.lose(holder)
        self._pods[pod] = Epoch(f"{holder}'", 1)

    async def _correct(self, step: Correct) -> None:
        order = self._order(step)
        if order is None:
            return
        await self.hub.corrections.correct(order)
        self.corrections += 1
        match step.kind:
            case CorrectionKind.ATTEMPT:
                self.books.attempts[order.subject].corrected = step.amount
            case CorrectionKind.LEASE:
                self.books.bill([order.subject], order.amount)
            case CorrectionKind.HOLDER:
                self.books.bill(self.lost_with(order.subject, order.account, order.window_start), order.amount)

    def lost_with(self, holder: str, account: str, start: int) -> list[str]:
        """The leases of one holder in one window that are lost with money outstanding."""
        return sorted(
            name
            for name, loan in self.books.loans.items()
            if (loan.holder, loan.account, loan.start) == (holder, account, start) and loan.lost and loan.outstanding
        )

    def _order(self, step: Correct) -> Order | None:
        """A correction of one that can be corrected; `None` where there is none."""
        if step.kind is CorrectionKind.ATTEMPT:
            possible = [each.id for each in self.books.settled()]
        else:
            possible = [name for name, loan in self.books.loans.items() if loan.lost and loan.outstanding]
        if not possible:
            return None
        subject = possible[step.which % len(possible)]
        name, reason = f"c-{self.corrections}", "the bill of November"
        if step.kind is CorrectionKind.ATTEMPT:
            return Order(name, step.kind, subject, step.amount, "root", reason)
        loan = self.books.loans[subject]
        if step.kind is CorrectionKind.LEASE:
            return Order(name, step.kind, subject, min(step.amount, loan.unsettled), "root", reason)
        lost = self.lost_with(loan.holder, loan.account, loan.start)
        lent = sum(self.books.loans[each].unsettled for each in lost)
        return Order(name, step.kind, loan.holder, min(step.amount, lent), "root", reason, loan.account, loan.start)


def _path(namespace: str, team: str, user: str) -> Iterator[str]:
    yield f"workload/{namespace}/app"
    yield f"namespace/{namespace}"
    if team:
        yield from (f"team/{team}", "team/engineering")
    yield "organization"
    if user:
        yield f"user/{user}"


def _charged(accounts: Sequence[Account], path: Sequence[str], step: Spend) -> Iterator[tuple[str, Account]]:
    for account in accounts:
        if account is PEOPLE:
            if step.user:
                yield f"{account.key}|{step.user}", account
        elif account is DEAR:
            if step.model == "o3":
                yield account.key, account
        elif str(account.target) in path:
            yield account.key, account


def _is_unknown(outcome: Outcome) -> bool:
    return outcome in (Outcome.UNKNOWN, Outcome.ABANDONED)
