"""Definitions of accounts: told apart by what they say, and found by the target whose requests they count."""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from llmgov.ledger.book import Book
from llmgov.ledger.rows import scope
from llmgov.snapshot import Account, Match, Target, TargetKind, user_account_key

Definitions: TypeAlias = Mapping[str, Account]
"""The accounts that the ledger itself knows to be in force, by the key without a user: these decide (`decisive`)."""

_ENCODER = msgspec.json.Encoder(order="deterministic")
_USER = f"{TargetKind.USER.value}/"


def fingerprint(account: Account) -> str:
    """The first 16 hex digits of the SHA-256 of a definition: another one after every change, the same after it is
    taken back."""
    return hashlib.sha256(_ENCODER.encode(account)).hexdigest()[:16]


class InForce(dict[str, Account]):
    """Definitions that are looked up by target many times."""

    @functools.cached_property
    def sound(self) -> set[str]:
        """The keys of those that `asking.check_account` was found to take; whoever calls it adds them."""
        return set()

    @functools.cached_property
    def by_target(self) -> dict[str, list[Account]]:
        """Those that count every request of their target, and refuse, by the target's name in charging paths.

        Whether one with a match covers a request, and a `costLimit`'s, depends on more than the ledger knows.
        """
        found: dict[str, list[Account]] = {}
        for account in self.values():
            if account.match == Match() and not account.dry_run and account.target.kind is not TargetKind.POLICY:
                found.setdefault(str(account.target), []).append(account)
        return found


def decisive(book: Book, key: str, said: Account, definitions: Definitions) -> Account | None:
    """The definition by which the ledger decides about the account `key`, which its sender defines as `said`.

    That is the one in force, else, since a sidecar may be of a configuration before, the one that the ledger stored
    when it was: of an account of each user the definition's own, which publications keep, before that of the user,
    which is as old as the user's last request. Never what the sender says: it would choose its own limit. Only before
    any configuration was in force is there nothing else; what was stored then is not told apart later, so a hub whose
    sidecars may lie does not get here before (`llmgov_hub.leases`). `None` where the account is not and never was in
    force, or is counted otherwise than `said`: by that one its window was looked up.
    """
    found = definitions.get(said.key)
    if found is not None:
        return found
    if not book.edition:
        return said
    row = book.accounts.get(said.key) or book.accounts.get(key)
    return row.account if row is not None and _counts_alike(row.account, said, key) else None


def _counts_alike(one: Account, other: Account, key: str) -> bool:
    """Whether both have the same windows and sums: what a key says, and whether all of its target's requests count."""
    named = (one.key, one.target, one.period, one.time_zone)
    return named == (other.key, other.target, other.period, other.time_zone) and scope(one, key) == scope(other, key)


def covering(definitions: Definitions, path: Sequence[str]) -> Iterator[tuple[str, Account]]:
    """The accounts, by key, that an attempt of this charging path is charged to whatever else it is."""
    by_target = definitions.by_target if isinstance(definitions, InForce) else InForce(definitions).by_target
    for target in path:
        for account in by_target.get(target, ()):
            yield account.key, account
        if target.startswith(_USER):
            for account in by_target.get(str(Target(TargetKind.USER)), ()):
                yield user_account_key(account.key, target.removeprefix(_USER)), account


def user_of(account: Account, key: str) -> str | None:
    """Whose own account of a definition of each user `key` is; `None` where the definition is of one account."""
    each = account.target.kind is TargetKind.USER and not account.target.name
    return key.removeprefix(f"{account.key}|") if each and key.startswith(f"{account.key}|") else None
