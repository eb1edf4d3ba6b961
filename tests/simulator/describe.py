"""Messages in few words, for the trace."""

import functools

from llmgov.ledger.commands import Held, Leased, Refused, Returned, Send, Write
from llmgov.ledger.messages import (
    Charged,
    Holdings,
    Intent,
    Inventory,
    Lease,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Recall,
    Recalled,
    Settlement,
)


def account(key: str) -> str:
    """An account's target, and the user where it is one user's: `team/payments`, `user:jane`."""
    _, target, _, _, *user = key.split("|")
    return ":".join((target, *user))


@functools.singledispatch
def describe(about: object) -> str:
    """In few words; what is not known here as Python would show it."""
    return str(about)


@describe.register
def _(about: tuple) -> str:  # type: ignore[type-arg]
    return "[" + ", ".join(map(describe, about)) + "]"


@describe.register
def _(about: Charged) -> str:
    return f"{about.lease} {about.held}"


@describe.register
def _(about: LeaseRequest) -> str:
    needs = ", ".join(f"{account(need.key)} {need.least}..{need.want}" for need in about.needs)
    approval = f" by {about.approval}" if about.approval else ""
    return f"request {about.epoch}/{about.request}: {needs}{approval}"


@describe.register
def _(about: Lease) -> str:
    return f"{about.id} {account(about.key)} {about.amount}"


@describe.register
def _(about: LeaseGrant) -> str:
    return f"grant {about.request}: {', '.join(map(describe, about.leases))}"


@describe.register
def _(about: LeaseRefusal) -> str:
    where = f" {account(about.key)}, {about.remaining} left up to {about.threshold} %" if about.key else ""
    return f"refusal {about.request}: {about.why.value}{where}"


@describe.register
def _(about: LeaseReturn) -> str:
    how = f"{', final' if about.final else ''}{', unaccounted' if about.unaccounted else ''}"
    return f"return {about.lease} #{about.serial}: {about.amount}{how}"


@describe.register
def _(about: Inventory) -> str:
    return f"inventory {about.epoch}: {' '.join(about.leases) or 'nothing'}"


@describe.register
def _(about: Holdings) -> str:
    held = ", ".join(f"{describe(one.lease)} -{one.returned}" for one in about.holdings)
    return f"holdings {about.epoch} for {about.ledger}: {held or 'nothing'}"


@describe.register
def _(about: Recall) -> str:
    return f"recall {account(about.key)} of {about.epoch}"


@describe.register
def _(about: Recalled) -> str:
    return f"recalled {account(about.key)} of {about.epoch}: {about.amount}"


@describe.register
def _(about: Intent) -> str:
    return f"intent {about.id} holds {about.hold} of {', '.join(map(describe, about.charged))}"


@describe.register
def _(about: Settlement) -> str:
    return f"settlement {about.id} {about.outcome.value} {about.cost}"


@describe.register
def _(about: Write) -> str:
    return f"write {describe(about.record)}{', sync' if about.sync else ''}"


@describe.register
def _(about: Leased) -> str:
    return f"lease {describe(about.lease)}"


@describe.register
def _(about: Returned) -> str:
    return describe(about.message)


@describe.register
def _(about: Send) -> str:
    return f"send {describe(about.message)}"


@describe.register
def _(about: Held) -> str:
    return f"hold {about.attempt}: {about.amount} of {', '.join(map(describe, about.charged))}"


@describe.register
def _(about: Refused) -> str:
    return f"refuse {about.attempt}: {describe(about.refusal)}"
