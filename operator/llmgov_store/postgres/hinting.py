"""What this replica remembers of rows that it wrote, so that most transactions lock all they need at the first try.

A return names a lease, and a settlement an attempt, whose scopes only their rows tell. Both facts never change, and
most sidecars stay with the replica that lent to them. A hint that is missing costs a batch a second try, and one that
is wrong would lock too much: neither changes what a transaction sees.
"""

import itertools
from collections.abc import Iterator
from typing import Any, Final

from llmgov.ledger.book import Lock, Put
from llmgov_store.postgres import locking
from llmgov_store.postgres.locking import Names

KEPT: Final = 20_000
"""Leases, and attempts under way, that are remembered; the oldest are forgotten first."""


class Hints:
    """The names of locks by leases and by attempts that are not settled."""

    def __init__(self) -> None:
        self._leases: dict[str, str] = {}
        self._attempts: dict[str, tuple[str, ...]] = {}

    def names(self, lock: Lock) -> Names:
        """What `lock` probably needs beside what it states."""
        return dict.fromkeys(self._names(lock), True)

    def _names(self, lock: Lock) -> Iterator[str]:
        charged = (part.lease for intent in lock.intents for part in intent.charged)
        for lease in itertools.chain(lock.leases, charged):
            if lease in self._leases:
                yield self._leases[lease]
        for attempt in lock.attempts:
            yield from self._attempts.get(attempt, ())

    def learn(self, put: Put, scopes: dict[str, str]) -> None:
        """Remember what was written; `scopes` are those of the windows that the leases are on, by account."""
        for lease in put.leases.values():
            if lease.account in scopes:
                self._leases[lease.id] = locking.of_scope(scopes[lease.account])
        for attempt in put.attempts.values():
            if attempt.intent is not None and attempt.settlement is None:
                leases = (self._leases[part.lease] for part in attempt.intent.charged if part.lease in self._leases)
                self._attempts[attempt.id] = (*locking.of_intent(attempt.intent), *leases)
            else:
                self._attempts.pop(attempt.id, None)
        _forget(self._leases)
        _forget(self._attempts)


def _forget(known: dict[str, Any]) -> None:
    for name in list(itertools.islice(known, max(0, len(known) - KEPT))):
        del known[name]
