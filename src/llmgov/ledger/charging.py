"""Which lease pays what of an attempt's cost: the one rule that both ends of the protocol apply."""

from collections.abc import Sequence

from llmgov.ledger.messages import Charged
from llmgov.money import MicroUsd


def distribute(charged: Sequence[Charged], cost: MicroUsd) -> dict[str, MicroUsd]:
    """What each lease pays: every account the whole cost, from its leases in order, each up to what it gave.

    What exceeds the hold (an overrun) falls on an account's last lease.
    """
    if len(charged) == 1:  # nearly always
        return {charged[0].lease: cost}
    parts: dict[str, list[Charged]] = {}
    for part in charged:
        parts.setdefault(part.key, []).append(part)
    paid: dict[str, MicroUsd] = {}
    for leases in parts.values():
        rest = cost
        for part in leases:
            paid[part.lease] = min(part.held, rest)
            rest -= paid[part.lease]
        paid[leases[-1].lease] += rest
    return paid
