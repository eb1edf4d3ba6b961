"""What happened to money in a test, as lists, and the plain sums that it comes to; no code of the ledger is in here.

Each attempt holds from one lease of each account, so that this lease pays all of it.
"""

import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass
class Loan:
    """A lease: what its holder has of `amount` is what was neither returned nor paid."""

    account: str
    start: int
    end: int
    amount: int
    holder: str
    returned: int = 0
    paid: int = 0
    lost: bool = False
    billed: int = 0

    @property
    def outstanding(self) -> int:
        """What may still be spent, or was lost."""
        return max(0, self.amount - self.returned - self.paid)

    @property
    def unsettled(self) -> int:
        """What of it no attempt has paid, whether it came back or not: as much as it may be billed."""
        return max(0, self.amount - self.paid)


@dataclasses.dataclass
class Dispatch:
    """An attempt. `targets` are all that it counts for; `plain` those of them that are no user's and on its path."""

    id: str
    namespace: str
    team: str
    user: str
    model: str
    targets: frozenset[str]
    plain: frozenset[str]
    hold: int
    cost: int
    is_unknown: bool
    loans: tuple[str, ...]
    at: int = 0
    begun: bool = False
    ended: bool = False
    corrected: int | None = None

    @property
    def counts(self) -> bool:
        """Whether the ledger has both ends of it."""
        return self.begun and self.ended

    @property
    def final(self) -> int:
        """What it costs in the end."""
        return self.cost if self.corrected is None else self.corrected


@dataclasses.dataclass
class Books:
    """All loans and attempts, by id."""

    loans: dict[str, Loan] = dataclasses.field(default_factory=dict)
    attempts: dict[str, Dispatch] = dataclasses.field(default_factory=dict)

    def begin(self, attempt: Dispatch, at: int, now: int) -> None:
        """The ledger learns of its dispatch: it counts at its time, if that is over and within what it was lent for."""
        loans = [self.loans[name] for name in attempt.loans]
        at = max([min(at, now), *(loan.start for loan in loans)])
        attempt.at, attempt.begun = min([at, *(loan.end - 1 for loan in loans)]), True
        self._pay(attempt)

    def end(self, attempt: Dispatch) -> None:
        """The ledger learns what it cost."""
        attempt.ended = True
        self._pay(attempt)

    def _pay(self, attempt: Dispatch) -> None:
        if attempt.counts:
            for loan in (self.loans[name] for name in attempt.loans):
                loan.paid += attempt.cost
                loan.billed = max(0, loan.billed - attempt.cost)

    def lose(self, holder: str) -> None:
        """Nobody will account for what a holder still has."""
        for loan in self.loans.values():
            loan.lost = loan.lost or loan.holder == holder

    def bill(self, names: list[str], amount: int) -> None:
        """These leases cost `amount` beyond what is settled: each what it had, then each what came back of it."""
        loans = [self.loans[name] for name in names]
        unknown = [loan.outstanding + loan.billed for loan in loans]
        for loan, most in zip(loans, unknown, strict=True):
            loan.returned = max(loan.returned, loan.amount - loan.paid)
            loan.billed = min(amount, most)
            amount -= loan.billed
        for loan in loans:
            more = min(amount, loan.unsettled - loan.billed)
            loan.billed += more
            amount -= more

    def settled(self) -> Iterator[Dispatch]:
        """The attempts that count."""
        return (attempt for attempt in self.attempts.values() if attempt.counts)

    def spent(self, target: str, account: str, start: int, end: int) -> int:
        """What a target's account has spent in the window from `start` to `end`."""
        attempts = (each.final for each in self.settled() if target in each.targets and start <= each.at < end)
        loans = (loan.billed for loan in self.loans.values() if (loan.account, loan.start) == (account, start))
        return sum(attempts) + sum(loans)

    def held(self, account: str, start: int) -> int:
        """What of an account's window is lent and neither back nor spent."""
        loans = (loan for loan in self.loans.values() if (loan.account, loan.start) == (account, start))
        return sum(loan.outstanding for loan in loans)
