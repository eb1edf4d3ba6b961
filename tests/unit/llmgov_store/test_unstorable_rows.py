"""What the database cannot hold fails alone: those that share a batch with it are written."""

import asyncio
import random
import uuid

import pytest

from llmgov.ledger.book import Book, Lock
from llmgov.ledger.bounds import MAX_NAME, MAX_NAME_BYTES, require_name, require_names
from llmgov.ledger.errors import BadInputError
from llmgov.ledger.store import Store, StoreError
from llmgov_store.postgres import committing
from llmgov_store.postgres.committing import Commits
from llmgov_store.postgres.connecting import Connection
from tests.support.ledgers import on_every_store


def characters(number: int) -> str:
    """Of three bytes each, which do not compress."""
    chosen = random.Random(7)
    return "".join(chr(chosen.randint(0x4E00, 0x9FFF)) for _ in range(number))


@on_every_store
async def test_a_text_too_long_for_an_index_harms_nobody_else(store: Store) -> None:
    async def put(event: str) -> None:
        await store.transact(Lock(events=(event,)), lambda book: book.put_event(event))

    names = ("a/1", characters(3000), "a/2")
    outcomes = await asyncio.gather(*map(put, names), return_exceptions=True)
    assert outcomes[0] is outcomes[2] is None
    assert outcomes[1] is None or isinstance(outcomes[1], ValueError), "and not that the store has failed: try again"

    def known(book: Book) -> set[str]:
        return set(book.events)

    assert await store.transact(Lock(events=("a/1", "a/2")), known) == {"a/1", "a/2"}


def test_a_name_is_bounded_by_what_an_index_holds_of_it() -> None:
    require_name(characters(MAX_NAME_BYTES // 3), "id")
    with pytest.raises(BadInputError, match=f"has {3 * MAX_NAME} bytes, more than {MAX_NAME_BYTES}"):
        require_name(characters(MAX_NAME), "id")
    with pytest.raises(BadInputError, match=r"path\[1\]: is no name: it has"):
        require_names(("a", characters(MAX_NAME)), "path")


def test_after_an_unknown_outcome_commits_go_by_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the session which was lost, should it wake up, says nothing of what was committed since."""
    monkeypatch.setattr(committing, "_OUTCOME_SECONDS", 0.0)
    names: list[uuid.UUID] = []

    async def unreachable() -> tuple[Connection, str]:
        names.append(commits._id)
        raise StoreError("nobody answers")

    commits = Commits(unreachable)

    async def lose() -> None:
        with pytest.raises(StoreError, match="may or may not have been written"):
            await commits._has_committed()

    asyncio.run(lose())
    (before,) = names
    assert commits._id != before
