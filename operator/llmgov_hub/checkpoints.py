"""Signs what the chains have grown by, and tells it to an anchor outside the database (design section 8)."""

from collections.abc import Callable, Sequence
from typing import Protocol

from llmgov.audit import checkpoint, signing
from llmgov.instants import Instant
from llmgov.ledger.rows import AuditRow
from llmgov.ledger.store import Store

_PAGE = 1000


class Anchor(Protocol):
    """A place where whoever can write the database cannot write."""

    async def keep(self, checkpoints: Sequence[bytes]) -> None:
        """Keep checkpoints, in order, some perhaps for a second time; durable when it returns.

        Raises:
            OSError: some may not be kept.
        """
        ...


class Checkpoints:
    """Signs all chains in a store; one process at a time does."""

    def __init__(self, store: Store, signer: signing.Signer, anchor: Anchor, clock: Callable[[], Instant]) -> None:
        self._store = store
        self._signer = signer
        self._anchor = anchor
        self._clock = clock
        self._latest: dict[str, checkpoint.Checkpoint] | None = None
        self._unanchored: list[bytes] = []

    async def sign(self) -> int:
        """Sign every record that no checkpoint covers yet; how many chains had any.

        Stored before it is anchored: what is anchored and not stored would look like a cut end. What an earlier call,
        or an earlier process, stored and perhaps did not anchor any more is anchored with it.

        Raises:
            StoreError: some chains wait for the next call.
            OSError: some checkpoints wait for the next call to be anchored.
        """
        latest, signed = await self._known(), 0
        for writer in await self._store.writers():
            made = await self._next(writer, latest.get(writer))
            if made is not None:
                await self._put(made, latest)
                signed += 1
        if self._unanchored:
            await self._anchor.keep(self._unanchored)
            self._unanchored.clear()
        return signed

    async def _put(self, made: checkpoint.Checkpoint, latest: dict[str, checkpoint.Checkpoint]) -> None:
        """Store one. Where the caller is cancelled meanwhile it counts as stored, since the store finishes its work:
        signing the same records again under the same number would look like tampering."""
        before, data = latest.get(made.writer), checkpoint.encode(made)
        latest[made.writer] = made
        self._unanchored.append(data)
        try:
            await self._store.put_checkpoint(data)
        except OSError:
            self._unanchored.remove(data)
            if before is None:
                del latest[made.writer]
            else:
                latest[made.writer] = before
            raise

    async def _known(self) -> dict[str, checkpoint.Checkpoint]:
        if self._latest is None:
            stored = [checkpoint.decode(data) for data in await self._store.checkpoints()]
            self._latest = {each.writer: each for each in stored}
            self._unanchored = [checkpoint.encode(each) for each in self._latest.values()]
        return self._latest

    async def _next(self, writer: str, previous: checkpoint.Checkpoint | None) -> checkpoint.Checkpoint | None:
        records = await self._records(writer, 0 if previous is None else previous.last)
        hashes = [record.hash for record in records]
        if not hashes:
            return None
        return checkpoint.sign(previous, writer, hashes, now=self._clock(), signer=self._signer)

    async def _records(self, writer: str, after: int) -> list[AuditRow]:
        found: list[AuditRow] = []
        while page := await self._store.records(writer, after, _PAGE):
            found += page
            after = page[-1].seq
        return found
