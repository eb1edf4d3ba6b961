"""The sidecar as `bench_proxy` measures it: ten policies, a budget, a hub that lends at once.

Prints its port. The hub is a part of the measured process only for leases and events, which are few.
"""

import asyncio
import pathlib
import sys

import uvloop

from llmgov import snapshot
from llmgov.policy.decision import Workload
from llmgov.snapshot import (
    Account,
    Category,
    Compliance,
    ContentFilter,
    CostLimit,
    Dimension,
    Direction,
    Directory,
    Match,
    ModelAccess,
    ModelPrice,
    NamespacePart,
    OnDetect,
    OnExceed,
    OrganizationPart,
    Pattern,
    Period,
    Policy,
    PricePart,
    Provider,
    RateLimit,
    Snapshot,
    Subject,
    Target,
    TargetKind,
)
from llmgov_sidecar import main as main_
from llmgov_sidecar import settings
from llmgov_sidecar.sidecar import Sidecar
from tests.bench.bench_hub import BenchHub

_NOWHERE = Match(namespaces=("elsewhere",))
_PRICE = ModelPrice(
    "openai",
    "gpt-4o",
    {Dimension.INPUT: 2_500_000, Dimension.OUTPUT: 10_000_000, Dimension.CACHED_INPUT: 1_250_000},
    context_window=128_000,
    max_output_tokens=16_384,
)


def policies() -> list[Policy]:
    """Ten, of every kind."""
    both = (Direction.REQUEST, Direction.RESPONSE)
    patterns = tuple(Pattern(f"p{number}", rf"secret-{number}-[0-9]{{6}}") for number in range(20))
    limits = RateLimit(Subject.WORKLOAD, OnExceed.BLOCK, 0, requests_per_minute=10_000_000, tokens_per_minute=10**12)
    return [
        Policy("root/patterns", 10, ContentFilter(both, OnDetect.BLOCK, patterns)),
        Policy("root/categories", 9, ContentFilter(both, OnDetect.REDACT, (), tuple(Category))),
        Policy("root/rate", 8, limits),
        Policy("root/rate-user", 7, RateLimit(Subject.USER, OnExceed.BLOCK, 0, requests_per_day=10_000_000)),
        Policy("root/cost", 6, CostLimit(max_output_tokens=4096)),
        Policy("root/dear", 5, CostLimit(max_request_cost=5_000_000)),
        Policy("root/models", 4, ModelAccess(allow=("openai/gpt-4o*", "anthropic/*"), deny=("*-preview",))),
        Policy("root/models-2", 3, ModelAccess(deny=("*-audio",))),
        Policy("root/audit", 2, Compliance(retention_days=30)),
        Policy("root/dry", 1, ModelAccess(allow=("x",)), dry_run=False, match=_NOWHERE),
    ]


def document(url: str) -> Snapshot:
    """The policies, a budget of a million dollars, and one provider."""
    target = Target(TargetKind.NAMESPACE, "shop")
    key = snapshot.account_key("bench", str(target), Period.MONTH, "UTC")
    budget = Account(key, target, 1_000_000_000_000, Period.MONTH, "UTC", "Budget/root/shop")
    provider = Provider("root/openai", "openai", f"{url}/v1")
    organization = OrganizationPart("bench", policies=tuple(policies()), accounts=(budget,), providers=(provider,))
    return Snapshot(snapshot.FORMAT, organization, NamespacePart("shop"), PricePart((_PRICE,)))


async def main(url: str, folder: str) -> None:
    """Serve until terminated."""
    given = settings.Settings(
        namespace="shop", pod="pod-1", port=0, admin_port=-1, volume=pathlib.Path(folder) / "sidecar"
    )
    log = (pathlib.Path(folder) / "log.jsonl").open("wb")
    sidecar = Sidecar(given, Workload("shop", "web"), BenchHub(), log_stream=log)
    await sidecar.configuration.apply(document(url), Directory(), {"root/openai": "sk-real"})
    print(await sidecar.start(), flush=True)
    main_.settle_memory()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
