"""A sidecar between a scripted provider and a real hub over the memory store: what proxy tests begin with."""

import asyncio
import contextlib
import io
import json
import pathlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from llmgov import snapshot
from llmgov.ledger.messages import (
    Epoch,
    Event,
    Holdings,
    Inventory,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Recall,
    Recalled,
    Recount,
)
from llmgov.policy.decision import Workload
from llmgov.snapshot import (
    Account,
    Dimension,
    Directory,
    Match,
    ModelPrice,
    NamespacePart,
    OrganizationPart,
    Period,
    Policy,
    PricePart,
    Provider,
    Settings,
    Snapshot,
    Target,
    TargetKind,
)
from llmgov_hub.hub import Hub
from llmgov_sidecar import settings as sidecar_settings
from llmgov_sidecar.sidecar import Sidecar, system_clock
from llmgov_sidecar.turns import Turns
from llmgov_store.memory import MemoryStore
from tests.unit.llmgov_sidecar import harness

KEYS = {"root/openai": "sk-real-openai", "root/anthropic": "sk-real-anthropic"}
GPT = ModelPrice(
    "openai",
    "gpt-4o",
    {Dimension.INPUT: 2_500_000, Dimension.OUTPUT: 10_000_000, Dimension.CACHED_INPUT: 1_250_000},
    context_window=128_000,
    max_output_tokens=16_384,
)
CLAUDE = ModelPrice(
    "anthropic",
    "claude-x",
    {Dimension.INPUT: 3_000_000, Dimension.OUTPUT: 15_000_000, Dimension.CACHED_INPUT: 300_000},
    context_window=200_000,
    max_output_tokens=8_192,
)
SHOP = Target(TargetKind.NAMESPACE, "shop")
PLAIN = Settings()
NOBODY = Directory()
NOWHERE = Match(namespaces=("elsewhere",))
CHAT = "/v1/chat/completions"
ROOMY = "50"


def budget(usd: str, target: Target = SHOP) -> Account:
    """A monthly limit on the tests' namespace."""
    key = snapshot.account_key("test", str(target), Period.MONTH, "UTC")
    return Account(key, target, int(float(usd) * 1_000_000), Period.MONTH, "UTC", "Budget/root/shop")


def document(
    url: str,
    policies: Sequence[Policy] = (),
    accounts: Sequence[Account] = (budget(ROOMY),),
    settings: Settings = PLAIN,
) -> Snapshot:
    """A snapshot whose two providers are at `url`."""
    providers = (Provider("root/openai", "openai", f"{url}/v1"), Provider("root/anthropic", "anthropic", url))
    organization = OrganizationPart("test", settings, tuple(policies), tuple(accounts), providers)
    return Snapshot(snapshot.FORMAT, organization, NamespacePart("shop"), PricePart((GPT, CLAUDE)))


def chat(content: str = "hello", **more: Any) -> bytes:
    """A chat request's body."""
    message = {"role": "user", "content": content}
    return json.dumps({"model": "gpt-4o", "messages": [message], "max_tokens": 100, **more}).encode()


def chat_answer(content: str = "hi", tokens: tuple[int, int] = (10, 5)) -> bytes:
    """A whole answer's body."""
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    body = {"id": "c1", "object": "chat.completion", "model": "gpt-4o", "choices": [choice], "usage": usage}
    return json.dumps(body, indent=1).encode()


def event(data: Any) -> bytes:
    """One server-sent event of a chat stream."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def piece(content: str, finish: str | None = None) -> bytes:
    """One event with a piece of the answer."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return event({"id": "c1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": [choice]})


def usage_event(tokens: tuple[int, int] = (10, 5)) -> bytes:
    """The event that `include_usage` asks for."""
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return event({"id": "c1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": [], "usage": usage})


DONE = event(b"[DONE]")
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class World:
    """What a test looks at; as the sidecar's hub it passes everything on to the real one, unless it is `away`."""

    def __init__(self, provider: harness.Provider, folder: pathlib.Path) -> None:
        self.provider = provider
        self.folder = folder
        self.store = MemoryStore()
        self.hub = Hub(self.store, system_clock)
        self.log = io.BytesIO()
        self.steps: list[str] = []
        self.sidecar: Sidecar
        self.events: list[Any] = []
        self.away = False
        self.takes_returns = True
        self.at_step: Callable[[str], None] = self.steps.append

    async def start(self, given: Snapshot, directory: Directory, **settings: Any) -> None:
        parts = {"organization": given.organization, "namespace/shop": given.namespace, "prices": given.prices}
        await self.hub.configuration.publish(parts)
        self.sidecar = self.make(**settings)
        await self.sidecar.configuration.apply(given, directory, KEYS)
        await self.sidecar.start()

    def make(self, *, turns: Turns | None = None, **settings: Any) -> Sidecar:
        """A sidecar of this world's pod, or of the one that the settings name, not started."""
        values = {
            "namespace": "shop",
            "service_account": "web",
            "pod": "pod-1",
            "port": 0,
            "admin_port": -1,
            "volume": self.folder,
            "drain_seconds": 1.0,
            "learn_seconds": 0.3,
            "lease_seconds": 2.0,
            **settings,
        }
        return Sidecar(
            sidecar_settings.Settings(**values),
            Workload(values["namespace"], values["service_account"], pod=values["pod"]),
            self,
            observer=self._at_step,
            log_stream=self.log,
            turns=turns,
        )

    def _at_step(self, step: str) -> None:
        self.at_step(step)

    async def register(self, holder: str) -> Epoch:
        return await self.reached().register(holder)

    async def inventory(self, message: Inventory) -> None:
        await self.reached().inventory(message)

    async def lease(self, request: LeaseRequest) -> LeaseGrant | LeaseRefusal:
        return await self.reached().lease(request)

    async def give_back(self, message: LeaseReturn) -> None:
        if not self.takes_returns:
            raise ConnectionError("the return is lost")
        await self.reached().give_back(message)

    async def recalled(self, message: Recalled) -> None:
        await self.reached().recalled(message)

    async def deliver(self, events: Sequence[Event]) -> tuple[str, ...]:
        aside = await self.reached().deliver(events)
        self.events += events
        return aside

    async def holdings(self, message: Holdings) -> None:
        await self.reached().holdings(message)

    def recalls(self, epoch: Epoch) -> AsyncIterator[Recall | Recount]:
        return self.hub.recalls(epoch)

    def reached(self) -> Hub:
        """The hub, where it can be reached."""
        if self.away:
            raise ConnectionError("the hub is away")
        return self.hub

    async def client(self) -> harness.Client:
        return await harness.Client.to(self.sidecar.port)

    async def on_record(self) -> None:
        assert await self.sidecar.delivered(5)

    async def decided(self) -> list[str]:
        """What the log says came of each request so far, of which there is at least one."""
        while not (said := [line["decision"] for line in self._logged() if line["event"] == "request"]):  # noqa: ASYNC110 - nothing else says when
            await asyncio.sleep(0.01)
        return said

    def _logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    async def only(self, kind: type[Any]) -> Any:
        """The one event of a kind that is on record."""
        await self.on_record()
        (found,) = [event for event in self.events if isinstance(event, kind)]
        return found

    async def account_when_nothing_is_lent(self) -> tuple[int, int]:
        """Spent and lent, once recovery has returned what it can."""
        while (now := await self.account())[1]:  # noqa: ASYNC110 - nothing else says when
            await asyncio.sleep(0.01)
        return now

    async def account(self) -> tuple[int, int]:
        """Spent and lent in micro-USD, after everything is on record and idle money is back."""
        await self.on_record()
        (window,) = await self.store.windows(system_clock())
        return window.spent, window.leased


@contextlib.asynccontextmanager
async def world(
    script: harness.Script,
    policies: Sequence[Policy] = (),
    accounts: Sequence[Account] = (budget(ROOMY),),
    settings: Settings = PLAIN,
    directory: Directory = NOBODY,
    **sidecar: Any,
) -> AsyncIterator[World]:
    """Everything up, and down again."""
    with tempfile.TemporaryDirectory() as folder:
        async with harness.Provider(script).running() as provider:
            made = World(provider, pathlib.Path(folder))
            await made.start(document(provider.url, policies, accounts, settings), directory, **sidecar)
            try:
                yield made
            finally:
                await made.sidecar.stop()
                await made.store.close()
