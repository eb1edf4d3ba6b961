"""The running system: a mock provider of its own, reached directly and through `llmgov local`, with taps on the way.

application ─ tap ─▶ mock                                        directly
application ─ tap ─▶ proxy of a namespace ─ tap `upstream` ─▶ mock  governed
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any

from llmgov_cli.local import state
from tests.sdk import people
from tests.support import localmode, sdks
from tests.support.sdks import Sdk
from tests.support.tap import Tap, Taps

FOLDER = pathlib.Path(__file__).parent / "folder"
NAMESPACES = ("plain", "held", "redacted", "guarded", "answers", "withheld", "capped", "limited", "people", "turns")
MOCK_KEYS = {Sdk.OPENAI: "mock-openai-key", Sdk.ANTHROPIC: "mock-anthropic-key"}
"""What the mock's own documentation says that it wants."""


class System:
    """All of it."""

    def __init__(self, taps: Taps, mock: int, upstream: Tap, local: localmode.Local) -> None:
        self.upstream = upstream
        self.local = local
        self.state_folder = local.state_folder
        self._clients = contextlib.ExitStack()
        self._made: dict[tuple[str, Sdk], Any] = {}
        self._taps = {"": taps.open(mock)}
        for workload, port in state.read_run(local.state_folder).sidecars.items():
            self._taps[workload.partition("/")[0]] = taps.open(port)

    @property
    def namespaces(self) -> list[str]:
        """The governed ones."""
        return [name for name in self._taps if name]

    def tap(self, namespace: str = "") -> Tap:
        """The tap between applications of a namespace and what they call; of no namespace: of the mock itself."""
        return self._taps[namespace]

    def client(self, sdk: Sdk, namespace: str = "") -> Any:
        """An SDK's client there; directly with the provider's key, otherwise with a placeholder."""
        if (namespace, sdk) not in self._made:
            key = sdks.PLACEHOLDER if namespace else MOCK_KEYS[sdk]
            client = sdks.client(sdk, self.tap(namespace).port, key)
            self._made[namespace, sdk] = self._clients.enter_context(client)
        return self._made[namespace, sdk]

    def async_client(self, sdk: Sdk, namespace: str = "") -> Any:
        """A new asynchronous one."""
        return sdks.async_client(sdk, self.tap(namespace).port, sdks.PLACEHOLDER if namespace else MOCK_KEYS[sdk])

    def forget(self) -> None:
        """Let the taps begin anew."""
        for tap in (self.upstream, *self._taps.values()):
            tap.take()

    def json(self, *words: str) -> Any:
        """What an `llmgov` command says of it."""
        shown = localmode.command(*words, "--state", self.state_folder, "-o", "json")
        assert shown.returncode == 0, shown.stderr
        return json.loads(shown.stdout)

    def spend(self, by: str) -> dict[str, dict[str, Any]]:
        """The lines of `llmgov spend`, by their names, and their `total`."""
        report = self.json("spend", "--by", by)
        return {line[by]: line for line in report["lines"]} | {"total": report["total"]}

    def close(self) -> None:
        """Close the clients."""
        self._clients.close()


@contextlib.contextmanager
def running(folder: pathlib.Path, workloads: tuple[str, ...] = NAMESPACES) -> Iterator[System]:
    """Start everything over a copy of `FOLDER`; `workloads` are namespaces, each with an application called `app`."""
    with _mock() as mock, Taps() as taps:
        upstream = taps.open(mock)
        place = resources(folder / "resources", upstream.port)
        with localmode.serving(place, folder / "state", *(f"{name}/app" for name in workloads)) as local:
            system = System(taps, mock, upstream, local)
            with contextlib.closing(system):
                yield system


def resources(place: pathlib.Path, upstream: int) -> pathlib.Path:
    """Write `FOLDER` to `place`, for a provider that listens on the port `upstream`."""
    place.mkdir(parents=True)
    for source in FOLDER.iterdir():
        text = source.read_text().replace("UPSTREAM", str(upstream)).replace("KEYS", people.key_set())
        (place / source.name).write_text(text)
    return place


@contextlib.contextmanager
def _mock() -> Iterator[int]:
    """`llmgov mock-provider` as a process of its own; its port."""
    command = [sys.executable, "-m", "llmgov_cli.main", "mock-provider", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            base = process.stdout.readline().split()[0].partition("=")[2]
            port = urllib.parse.urlsplit(base).port
            assert port is not None
            yield port
        finally:
            process.terminate()
