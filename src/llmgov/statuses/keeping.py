"""What is in force of resources that cannot be understood any more, and of those that wait for another's mending.

A part that lacks a faulty resource does not replace the one in force (docs/decisions/0004). So the faulty resource's
own earlier state stays in force, too, as does that of the good one beside it that waits: money is spent under these
limits, and their authors see how much of which. A limit that was never in force has no amounts. Of limits that met on
one account a part has the lowest, and knows whose that is, but not whose the others were.
"""

from collections.abc import Collection, Iterator

import msgspec

from llmgov import snapshot
from llmgov.problems import ResourceRef
from llmgov.snapshot import NamespacePart, OrganizationPart
from llmgov.statuses import holding, references
from llmgov.statuses.holding import Held
from llmgov.statuses.observed import Facts


def resources_of(held: Held) -> frozenset[ResourceRef]:
    """The resources with errors of which an earlier state is still in force."""
    faulty = holding.faulty(held.problems)
    return frozenset(each for part in _parts(held) for each in _named(part) if each in faulty)


def facts(known: Facts, held: Held, waiting: Collection[str] = ()) -> Facts:
    """`known` with the accounts and teams that are in force, in place of those that are not.

    `waiting` are the sources whose accounts are in parts that do not come into force, and in no other.
    """
    configured = [account for account in known.accounts if account.source not in waiting]
    sources = {account.source for account in configured}
    parts = list(_parts(held))
    accounts = {each.key: each for part in parts for each in part.accounts if each.source not in sources}
    teams = {part.team.name: part.team for part in parts if isinstance(part, NamespacePart) and part.team is not None}
    return msgspec.structs.replace(known, accounts=(*configured, *accounts.values()), teams=teams | known.teams)


def _parts(held: Held) -> Iterator[OrganizationPart | NamespacePart]:
    return (part for part in held.in_force.values() if isinstance(part, OrganizationPart | NamespacePart))


def _named(part: OrganizationPart | NamespacePart) -> Iterator[ResourceRef]:
    """The resources that a part is made of: settings that are all defaults may be of none."""
    pieces = references.pieces(part)
    yield from (each for each, piece in pieces.items() if piece != snapshot.Settings())
    yield from (references.of_source(account.source) for account in part.accounts)
