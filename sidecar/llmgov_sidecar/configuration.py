"""The configuration in force: swapped whole, kept on the pod's own volume, credentials in memory only.

A request takes `current` once and keeps it to its end, whatever is applied meanwhile.
"""

import asyncio
import pathlib
from collections.abc import Callable, Mapping

import msgspec

from llmgov import snapshot
from llmgov.instants import Instant
from llmgov.policy.runtime import Runtime
from llmgov.snapshot import Directory, Provider, Snapshot
from llmgov_sidecar import upstream
from llmgov_sidecar.http1 import Header
from llmgov_sidecar.lastgood import LastGood
from llmgov_sidecar.stopped import Stopped


class Target(msgspec.Struct, frozen=True):
    """Where a credential's requests go, and the key that goes only there."""

    origin: upstream.Origin
    authorization: Header


class Active(msgspec.Struct, frozen=True):
    """One configuration ready for use. `versions` are those of its organization, namespace and price parts."""

    runtime: Runtime
    versions: tuple[str, ...]
    targets: dict[str, Target]


_HEADERS: dict[str, Callable[[str], Header]] = {
    "openai": lambda key: (b"authorization", b"Bearer " + key.encode()),
    "openai-compatible": lambda key: (b"authorization", b"Bearer " + key.encode()),
    "anthropic": lambda key: (b"x-api-key", key.encode()),
}


class Configuration:
    """Holds what is in force."""

    def __init__(self, folder: pathlib.Path, clock: Callable[[], Instant]) -> None:
        self.current: Active | None = None
        self.on_change: Callable[[Active], None] = lambda _: None
        self.stopped = Stopped()
        self._last_good = LastGood(folder)
        self._keeping = asyncio.Lock()
        self._clock = clock
        self._confirmed: Instant = 0
        self._keys: dict[str, str] = {}

    def load(self) -> bool:
        """Take up the last good snapshot of the volume, if there is a readable one; it has no keys with it."""
        found = self._last_good.read()
        if found is None:
            return False
        self._swap(found[0], Directory(), confirmed=found[1])
        return True

    async def apply(self, new: Snapshot, directory: Directory, keys: Mapping[str, str]) -> None:
        """Put a snapshot in force for all requests that begin from now on, and keep it on the volume.

        Where nothing but the directory or the keys changed, only the kept file's time is written.
        `keys` are the providers' keys by `Provider.id`. Raises nothing for what the compiler accepted; a snapshot that
        cannot be used raises `ValueError`, and the last good one stays.
        """
        self._keys = dict(keys)
        now = self._clock()
        versions = self._swap(new, directory, now).versions
        async with self._keeping:  # in the order of the calls, so that the last one's is kept
            await asyncio.get_running_loop().run_in_executor(None, self._last_good.keep, new, versions, now)

    def confirm(self) -> None:
        """The hub says that what is in force is still the newest."""
        self._confirmed = self._clock()

    @property
    def stale(self) -> bool:
        """Whether what is in force is older than its own settings allow."""
        if self.current is None:
            return True
        most = self.current.runtime.settings.max_staleness
        return most is not None and self._clock() - self._confirmed > most

    def _swap(self, new: Snapshot, directory: Directory, confirmed: Instant) -> Active:
        runtime = Runtime(new, directory)
        targets = {provider.id: target for provider in runtime.providers if (target := self._target(provider))}
        versions = tuple(snapshot.version(part) for part in (new.organization, new.namespace, new.prices))
        self.stopped.list(directory.stopped)
        self.current = active = Active(runtime, versions, targets)
        self._confirmed = confirmed
        self.on_change(active)
        return active

    def _target(self, provider: Provider) -> Target | None:
        key = self._keys.get(provider.id)
        header = _HEADERS.get(provider.kind)
        if key is None or header is None:
            return None
        return Target(upstream.origin(provider.base_url), header(key))
