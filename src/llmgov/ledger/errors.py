"""What the ledger says to a message that cannot be taken for what it says: which field, and what is wrong with it.

Raised before anything is put, or out of a step whose transaction is rolled back: nothing was changed. Sending the same
again is of no use, unlike after a `StoreError`. That there is no money, or that an epoch is fenced, is no error but an
answer (`LeaseRefusal`).
"""

import enum

from llmgov import money
from llmgov.instants import Duration, Instant
from llmgov.money import MicroUsd


class Fault(enum.Enum):
    """What is wrong."""

    NEGATIVE = "negative"
    """An amount below 0."""
    RANGE = "out_of_range"
    """A number beyond what any message may name, or amounts that contradict each other."""
    CURRENCY = "other_currency"
    """Money in a currency that is not the ledger's."""
    UNKNOWN = "unknown"
    """An account, attempt, lease or holder that the ledger does not have."""
    FOREIGN = "not_the_senders"
    """An id or key that belongs to somebody else."""
    FUTURE = "from_the_future"
    """A time that the ledger's clock will not reach for long."""
    REPEATED = "named_twice"
    """The same account twice in one request, or an id that was used for something else."""
    EMPTY = "empty"
    """Words that have to be there and are not, are longer than may be kept, or no text."""
    WRITTEN_OFF = "written_off"
    """What holds from a lease whose money came back when its holder's pod was lost."""
    STATE = "not_now"
    """What may be done in another state only: a lease that is still open, an attempt that has not ended."""


class BadInputError(ValueError):
    """A message that nothing was changed for. `field` is its path in the message; the text says what is wrong."""

    def __init__(self, fault: Fault, field: str, wrong: str) -> None:
        super().__init__(f"{field}: {wrong}")
        self.fault = fault
        self.field = field
        self.wrong = wrong


def require_amount(amount: MicroUsd, field: str, *, most: MicroUsd = money.MAX_AMOUNT) -> None:
    """Refuse what is no amount of money from 0 to `most`.

    Raises:
        BadInputError: `NEGATIVE` or `RANGE`.
    """
    if amount < 0:
        raise BadInputError(Fault.NEGATIVE, field, f"{amount} micro-USD is below 0")
    if amount > most:
        raise BadInputError(Fault.RANGE, field, f"{amount} micro-USD is more than {most}")


def require_time(at: Instant, now: Instant, ahead: Duration, field: str) -> None:
    """Refuse a time before 1970, or more than `ahead` later than `now`.

    Raises:
        BadInputError: `RANGE` or `FUTURE`.
    """
    if at < 0:
        raise BadInputError(Fault.RANGE, field, "lies before 1970")
    if at > now + ahead:
        raise BadInputError(Fault.FUTURE, field, f"lies {(at - now) // 1_000_000} s ahead of the ledger's clock")


def require_words(text: str, field: str, most: int) -> None:
    """Refuse a text without a printable character, with more than `most`, or with half a character (a surrogate).

    Raises:
        BadInputError: `EMPTY`.
    """
    if not text.strip():
        raise BadInputError(Fault.EMPTY, field, "must not be empty")
    if len(text) > most:
        raise BadInputError(Fault.EMPTY, field, f"has {len(text)} characters, more than {most}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(Fault.EMPTY, field, "is no text: it holds half a character") from error
