"""One crash run: a plan made of a seed, carried out over real processes, and everything that is wrong afterwards.

A run starts local mode on a state folder, sends it requests at once, kills it (by a bomb at a named point, or from
outside at some moment), starts it again, perhaps kills it in the middle of its recovery, and lets the last life end by
itself. What then must hold is said in `_judge`, from `evidence` alone.
"""

import asyncio
import dataclasses
import json
import pathlib
import random
import sqlite3
import time
from collections.abc import Iterator

from tests.support import crash_process, evidence, raw_http
from tests.support.crash_client import Crashable, Provider, lose_what_was_not_synced
from tests.support.crash_process import RECOVERY, STEPS, Boot, Kill
from tests.support.evidence import End, Scene
from tests.support.raw_http import Reply

OUTSIDE = "outside"
"""A kill by somebody else, at no point that the process knows of."""

KINDS = (*STEPS, "call", OUTSIDE)
"""What the first kill of a run is, by its seed's remainder."""

WORKLOADS = ("orders/app", "reports/app")
TIGHT = "0.2"
"""The organization's limit, in USD, where money is to be short."""
INPUT, OUTPUT = 10, 1000
"""Micro-USD for a token, of every model here."""

_CALLS = ("before lease", "after lease", "after deliver", "before give_back", "after give_back", "anchor")


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """One request. `told` are the mock's lines; `end` the outcome that a client who gets a whole answer can rely on."""

    marker: str
    workload: str
    route: str
    stream: bool
    most: int
    told: str
    end: str

    @property
    def path(self) -> str:
        """Where it goes."""
        return _PATHS[self.route]

    @property
    def body(self) -> bytes:
        """What it says."""
        text = f"request {self.marker}\n{self.told}"
        asked: dict[str, object]
        if self.route == "responses":
            asked = {"model": "gpt-4o", "max_output_tokens": self.most, "input": text}
        else:
            limit, model = _MESSAGES[self.route]
            asked = {"model": model, limit: self.most, "messages": [{"role": "user", "content": text}]}
        return json.dumps(asked | ({"stream": True} if self.stream else {})).encode()


_PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
_MESSAGES = {"chat": ("max_completion_tokens", "gpt-4o"), "messages": ("max_tokens", "claude-sonnet-4-5")}
_HEADERS = (("content-type", "application/json"), ("authorization", "Bearer placeholder"))
_ANTHROPIC = (("anthropic-version", "2023-06-01"),)

_BEHAVIOURS = (
    ("", "settled"),
    ("mock: spend max", "settled"),
    ("mock: delay 30ms", "settled"),
    ("mock: pace 2ms", "settled"),
    ("mock: status 500", "free"),
    ("mock: fault reset", "unknown"),
    ("mock: fault cut", "unknown"),
)
_SURE = 4
"""How many behaviours come to each step of an attempt."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What one seed means. `kills` end all lives but the last; `power` makes each a loss of power, too."""

    seed: int
    kills: tuple[Kill, ...]
    waves: tuple[tuple[Ask, ...], ...]
    limits: dict[str, str]
    strict: bool
    segment_bytes: int
    power: bool

    @property
    def certain(self) -> bool:
        """Whether enough requests of the first life pay, and come to every step, for its bomb to go off."""
        first, wave = self.kills[0], self.waves[0]
        surely = sum(ask.end == "settled" for ask in wave)
        return first.point in STEPS and first.nth <= surely and self.limits["organization"] != TIGHT


def plan(seed: int, *, power: bool = False) -> Plan:
    """The plan of a seed, the same every time."""
    chance = random.Random(f"{seed} {power}")
    tight = not power and chance.random() < 0.3
    first = _first_kill(seed, chance, tight)
    kills = (first, *_second_kill(chance))
    waves = tuple(
        tuple(_asks(seed, life, chance, surely=power or (life == 0 and not tight))) for life in range(len(kills) + 1)
    )
    limits = {"organization": TIGHT if tight else "20", "orders": "0.15" if tight else "15"}
    small = power or chance.random() < 0.3
    return Plan(seed, kills, waves, limits, chance.random() < 0.2, 2_000 if small else 4_000_000, power)


def _first_kill(seed: int, chance: random.Random, tight: bool) -> Kill:
    kind = KINDS[seed % len(KINDS)]
    if kind == "call":
        return Kill(chance.choice(_CALLS))
    return Kill(kind, chance.randint(1, 2 if tight else 6))


def _second_kill(chance: random.Random) -> Iterator[Kill]:
    what = chance.random()
    if what < 0.35:
        yield Kill(f"{chance.choice(('before', 'after'))} {chance.choice(RECOVERY)}", chance.randint(1, 2))
    elif what < 0.5:
        yield Kill(chance.choice(STEPS), chance.randint(1, 4))


def _asks(seed: int, life: int, chance: random.Random, *, surely: bool) -> Iterator[Ask]:
    """A wave of requests; `surely` has enough of those that come to every step."""
    for number in range(chance.randint(7, 10) if surely else chance.randint(2, 6)):
        told, end = chance.choice(_BEHAVIOURS[:_SURE] if surely and number < 6 else _BEHAVIOURS)
        route, stream = chance.choice(tuple(_PATHS)), chance.random() < 0.5
        marker = f"{seed}-{100 * life + number}"
        yield Ask(marker, chance.choice(WORKLOADS), route, stream, chance.randint(10, 40), told, end)


@dataclasses.dataclass(slots=True)
class Result:
    """Where the lives really ended, and each thing that is wrong, as a sentence."""

    reached: list[str] = dataclasses.field(default_factory=list)
    findings: list[str] = dataclasses.field(default_factory=list)


class Run:
    """Carries a plan out in `folder`, which is the run's own.

    `patience` is how long the last life may take to recover, in seconds; `bug` is planted into all lives.
    """

    def __init__(
        self,
        planned: Plan,
        crashable: Crashable,
        provider: Provider,
        folder: pathlib.Path,
        bug: str = "",
        patience: float = 10.0,
    ) -> None:
        self.result = Result()
        self._plan = planned
        self._crashable = crashable
        self._provider = provider
        self._bug = bug
        self._patience = patience
        self._place = folder / "place"
        self._state = folder / "state"
        self._expected: dict[str, End] = {}
        self._replies: dict[Ask, Reply] = {}

    async def carry_out(self) -> Result:
        """All lives, one after the other, and the judgement."""
        self._state.mkdir()
        _write_place(self._place, self._plan, self._provider.port)
        await raw_http.delete(self._provider.port, "/mock/requests")
        for kill, wave in zip((*self._plan.kills, None), self._plan.waves, strict=True):
            await self._live(kill, wave)
        self._judge(evidence.read(self._state, spools=False), await self._received())
        return self.result

    async def _live(self, kill: Kill | None, wave: tuple[Ask, ...]) -> None:
        bomb = kill if kill is not None and kill.point != OUTSIDE else None
        boot = Boot(str(self._place), str(self._state), WORKLOADS, bomb, self._plan.segment_bytes, self._bug)
        ports = self._crashable.start(boot)
        if ports is not None:
            async with asyncio.TaskGroup() as tasks:
                if kill is not None and kill.point == OUTSIDE:
                    tasks.create_task(self._kill_after(kill.nth * 0.012))
                for ask in wave:
                    tasks.create_task(self._ask(ports[ask.workload], ask))
        if kill is None:
            self._end(ports)
        else:
            self._die()
            self._look_at_the_scene(await self._received())

    async def _ask(self, port: int, ask: Ask) -> None:
        headers = _HEADERS + (_ANTHROPIC if ask.route == "messages" else ())
        self._replies[ask] = await raw_http.post(port, ask.path, ask.body, headers)

    async def _kill_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._crashable.kill()

    async def _received(self) -> list[str]:
        return evidence.received((await raw_http.get(self._provider.port, "/mock/requests")).body)

    def _die(self) -> None:
        """The bomb has gone off, or this is the end all the same."""
        until = time.monotonic() + 0.2
        while self._crashable.pid and not self._crashable.ended and time.monotonic() < until:
            time.sleep(0.005)
        if self._crashable.pid:
            self._crashable.kill()
        reached = self._state.parent / crash_process.REACHED
        self.result.reached.append(reached.read_text() if reached.exists() else OUTSIDE)
        reached.unlink(missing_ok=True)
        if self._plan.power:
            lose_what_was_not_synced(self._state)

    def _look_at_the_scene(self, received: list[str]) -> None:
        """What is fixed from now on: an attempt ends as it is written down, and by its hold where nothing is."""
        scene = evidence.read(self._state, spools=True)
        self._within_limits(scene, "at the crash")
        if self._plan.power:
            return
        self._all(set(received) <= scene.markers.keys(), "a request was dispatched before its intent was on disk")
        for id_, intended in scene.intents.items():
            self._expected.setdefault(id_, scene.ends.get(id_) or End("unknown", intended.hold))

    def _end(self, ports: dict[str, int] | None) -> None:
        """The last life ends by itself, once it has recovered."""
        if ports is None:
            self._all(False, f"the last life did not serve: exit code {self._crashable.wait()}")
            return
        until = time.monotonic() + self._patience
        while not _recovered(self._state, self._plan) and time.monotonic() < until:
            time.sleep(0.01)
        code = self._crashable.stop()
        self._all(code == 0, f"the last life ended with exit code {code}")

    def _judge(self, scene: Scene, received: list[str]) -> None:
        self._within_limits(scene, "in the end")
        self._all(len(set(received)) == len(received), "a request was sent to the provider twice")
        if self._plan.power:
            self._is_paid_for(scene, received)
        else:
            self._is_complete(scene, received)
            self._ends_as_expected(scene)
            self._clients_saw_the_truth(scene)
            self._adds_up(scene)

    def _within_limits(self, scene: Scene, when: str) -> None:
        for window in scene.windows:
            used = window.spent + window.leased + window.unknown
            self._all(used <= window.limit, f"{when} {window.account} has used {used} of {window.limit}")

    def _is_complete(self, scene: Scene, received: list[str]) -> None:
        markers = scene.markers
        for marker in received:
            ids = markers.get(marker, [])
            self._all(len(ids) == 1, f"request {marker} was dispatched, and the ledger has {len(ids)} intents of it")
        for id_ in scene.intents.keys() | self._expected.keys():
            for kind in ("intent", "settlement"):
                count = scene.recorded.get((kind, id_), 0)
                self._all(count == 1, f"the audit has {count} records of the {kind} of {id_}")
        self._all(not scene.open, f"attempts without an end: {sorted(scene.open)}")

    def _ends_as_expected(self, scene: Scene) -> None:
        for id_, end in self._expected.items():
            found = scene.ends.get(id_)
            self._all(found == end, f"{id_} should have ended as {end}, and ended as {found}")

    def _clients_saw_the_truth(self, scene: Scene) -> None:
        """What a client was told is what is on record: an answer it got whole is settled by the usage in it."""
        markers = scene.markers
        for ask, reply in self._replies.items():
            ids = markers.get(ask.marker, [])
            if reply.status == 402:
                self._all(not ids, f"request {ask.marker} was refused, and has attempts {ids}")
            elif reply.status is not None and reply.whole and len(ids) == 1:
                found = scene.ends.get(ids[0])
                paid = _paid(ask, reply)
                self._all(
                    found is not None and found.outcome == ask.end and paid in (None, found.cost),
                    f"request {ask.marker} ({ask.told}) got {reply.status}, which costs {paid}, and ended as {found}",
                )

    def _adds_up(self, scene: Scene) -> None:
        for window in scene.windows:
            costs = (end.cost for id_, end in scene.ends.items() if _counts(window.account, scene, id_))
            self._all(
                (window.spent, window.leased, window.unknown) == (sum(costs), 0, 0),
                f"{window} is not the sum of what its attempts cost",
            )

    def _is_paid_for(self, scene: Scene, received: list[str]) -> None:
        """After a loss of power: nothing that the provider has billed counts for less than that."""
        asked = {ask.marker: ask for ask in self._replies}
        for window in scene.windows:
            billed = sum(
                asked[marker].most * OUTPUT
                for marker in received
                if "spend max" in asked[marker].told and _counts_for(window.account, asked[marker].workload)
            )
            charged = window.spent + window.unknown
            self._all(charged >= billed, f"{window} has charged {charged}, and the provider bills {billed} or more")
            self._all(window.leased == 0, f"{window} still has money with sidecars that are gone")

    def _all(self, holds: bool, sentence: str) -> None:
        if not holds:
            self.result.findings.append(sentence)


def _counts(account: str, scene: Scene, id_: str) -> bool:
    return id_ in scene.intents and _counts_for(account, scene.intents[id_].namespace)


def _counts_for(account: str, workload: str) -> bool:
    """Whether an account counts a namespace's or workload's attempts."""
    return "organization" in account or workload.partition("/")[0] in account


def _paid(ask: Ask, reply: Reply) -> int | None:
    """What an answer costs, by the usage in it; `None` where it says nothing of that."""
    if ask.stream or reply.status != 200:
        return 0 if reply.status == 500 else None
    usage = json.loads(reply.body)["usage"]
    read = usage.get("prompt_tokens", usage.get("input_tokens"))
    said = usage.get("completion_tokens", usage.get("output_tokens"))
    return int(read * INPUT + said * OUTPUT)


def _recovered(state: pathlib.Path, planned: Plan) -> bool:
    """Whether every attempt has its end and nothing lies with epochs that are over; asked while it serves."""
    connection = sqlite3.connect(f"file:{state / 'ledger.db'}?mode=ro", uri=True)
    try:
        open_, stranded = connection.execute(
            f"SELECT (SELECT count(*) FROM attempts WHERE settlement IS NULL), ({evidence.STRANDED})"  # noqa: S608
        ).fetchone()
    finally:
        connection.close()
    # What a lost machine had begun is charged with its lease, so its attempts may stay without an end of their own.
    return stranded == 0 and (planned.power or open_ == 0)


def _write_place(place: pathlib.Path, planned: Plan, port: int) -> None:
    place.mkdir()
    mode = "Strict" if planned.strict else "Spool"
    documents = [_SETTINGS.format(mode=mode), _SECRET]
    for provider, model, path in (("openai", "gpt-4o", "/v1"), ("anthropic", "claude-sonnet-4-5", "")):
        documents.append(
            _CREDENTIAL.format(
                provider=provider, model=model, base=f"http://127.0.0.1:{port}{path}", input=INPUT, output=OUTPUT
            )
        )
    documents.append(
        _BUDGET.format(name="organization", target="organization: {}", limit=planned.limits["organization"])
    )
    documents.append(_BUDGET.format(name="orders", target="namespace: orders", limit=planned.limits["orders"]))
    (place / "resources.yaml").write_text("---\n".join(documents))


_SETTINGS = """\
apiVersion: llmgov.dev/v1alpha1
kind: GovernanceSettings
metadata: {{name: default}}
spec: {{audit: {{mode: {mode}, prompts: Redacted}}}}
"""
_SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: llm-governance}
type: llmgov.dev/provider-key
stringData: {openai: mock-openai-key, anthropic: mock-anthropic-key}
"""
_CREDENTIAL = """\
apiVersion: llmgov.dev/v1alpha1
kind: ProviderCredential
metadata: {{name: {provider}, namespace: llm-governance}}
spec:
  provider: {provider}
  secretRef: {{name: keys, key: {provider}}}
  baseURL: {base}
  prices:
    - {{model: {model}, rates: {{input: "{input}", output: "{output}"}}, contextWindow: 100000, maxOutputTokens: 9000}}
"""
_BUDGET = """\
apiVersion: llmgov.dev/v1alpha1
kind: Budget
metadata: {{name: {name}, namespace: llm-governance}}
spec: {{target: {{{target}}}, limit: "{limit}", period: Year}}
"""
