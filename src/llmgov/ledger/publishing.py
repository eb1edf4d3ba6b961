"""A whole configuration comes into force: every version that ever was is kept, with its time, for audit and replay."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from llmgov import snapshot
from llmgov.instants import Instant
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import AccountRow, PartRow, scope
from llmgov.snapshot import Account, NamespacePart, OrganizationPart, Part

LOCK = Lock(configuration=True)
"""What `publish` needs of the store."""


class Change(NamedTuple):
    """A part that came into force, or ended (`version` is `None`); `replaced` is the version before."""

    part: str
    version: str | None
    replaced: str | None


def publish(book: Book, parts: Mapping[str, Part], now: Instant) -> list[Change]:
    """Put `parts` in force, by name (`organization`, `prices`, `namespace/<name>`); what changed, by name.

    A part whose version is in force already stays; one in force that is not named ends. The accounts in the parts
    become those in force, and where anything changed the configuration has a new edition.
    """
    versions = {name: snapshot.version(part) for name, part in parts.items()}
    changes = []
    for name in sorted({*versions, *book.in_force}):
        old, version = book.in_force.get(name), versions.get(name)
        if old is not None and old.version == version:
            continue
        if old is not None:
            book.put.parts.append(msgspec.structs.replace(old, until=now))
        if version is not None:
            book.put.parts.append(PartRow(name, version, snapshot.encode(parts[name]), now))
        changes.append(Change(name, version, None if old is None else old.version))
    if changes:
        book.put_edition(book.edition + 1)
    book.put.published = tuple(AccountRow(each.key, scope(each, each.key), each) for each in accounts(parts.values()))
    return changes


def accounts(parts: Iterable[Part]) -> Sequence[Account]:
    """The accounts that parts define, by key, each once."""
    holders = (part for part in parts if isinstance(part, OrganizationPart | NamespacePart))
    found = {account.key: account for part in holders for account in part.accounts}
    return [found[key] for key in sorted(found)]
