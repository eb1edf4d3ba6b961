"""What was in force, and what it would have decided: `get snapshots`, `explain --at`, over a folder and a database."""

import asyncio
import contextlib
import io
import json
import pathlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llmgov import instants, snapshot
from llmgov.instants import Instant
from llmgov.ledger.book import Lock
from llmgov.ledger.rows import PartRow
from llmgov.ledger.store import Store
from llmgov.snapshot import OrganizationPart
from llmgov_cli import assembly, errors, explain, get, lists, prices, sources
from llmgov_store.postgres.store import PostgresStore
from llmgov_store.publisher import Publisher
from llmgov_store.recorder import Recorder
from llmgov_store.sqlite.store import SqliteStore
from tests.support import machine, postgres

KINDS = ("folder", pytest.param("database", marks=machine.requires("postgres")))

CREDENTIAL = """
apiVersion: llmgov.dev/v1alpha1
kind: ProviderCredential
metadata: {name: openai, namespace: llm-governance}
spec:
  provider: openai
  secretRef: {name: key, key: k}
  prices:
    - {model: test-model, rates: {input: "1", output: "2"}, contextWindow: 100000, maxOutputTokens: 10000}
"""
SHOPS_MODELS = """
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: models, namespace: shop}
spec: {modelAccess: {deny: ["test-*"]}}
"""
BUDGET = """
---
apiVersion: llmgov.dev/v1alpha1
kind: Budget
metadata: {name: everything, namespace: llm-governance}
spec: {target: {organization: {}}, limit: "100", period: Month}
"""

EIGHT, NINE, TEN = (f"2026-11-24T{hour}:00:00Z" for hour in ("08", "09", "10"))
REQUEST = {"request": {"model": "test-model", "prompt": "hello", "maxTokens": 10}, "principal": {"namespace": "shop"}}


def at(time: str) -> Instant:
    return instants.from_rfc3339(time)


def compiled(folder: pathlib.Path, text: str, *namespaces: str) -> dict[str, snapshot.Part]:
    (folder / "all.yaml").write_text(text)
    checked = assembly.compile_files([folder / "all.yaml"], prices.prices(), namespaces)
    assert checked.errors == ()
    found = checked.compiled
    named: dict[str, snapshot.Part] = {"organization": found.organization, "prices": found.prices}
    return named | {f"namespace/{name}": part for name, part in found.namespaces.items()}


async def publish(store: Store, time: str, parts: dict[str, snapshot.Part], actor: str) -> None:
    async def announce() -> None:
        """Nobody lends."""

    await Publisher(store, Recorder("test"), lambda: at(time), announce).publish(parts, actor=actor)


async def fill(store: Store, folder: pathlib.Path) -> None:
    """At eight nothing is forbidden; at nine the shop's models are; at ten `late` is there, too, and a budget."""
    await publish(store, EIGHT, compiled(folder, CREDENTIAL, "shop"), "root")
    await publish(store, NINE, compiled(folder, CREDENTIAL + SHOPS_MODELS, "shop"), "jane")
    await publish(store, TEN, compiled(folder, CREDENTIAL + SHOPS_MODELS + BUDGET, "shop", "late"), "root")


@contextlib.asynccontextmanager
async def opened(where: sources.Where) -> AsyncIterator[Store]:
    store: Store
    if isinstance(where, sources.Database):
        store = await PostgresStore.open(where.url)
    else:
        assert isinstance(where, pathlib.Path)
        store = SqliteStore.open(where / "ledger.db")
    try:
        yield store
    finally:
        await store.close()


def over_each(test: Callable[[sources.Where, pathlib.Path], None]) -> Callable[..., None]:
    """Run a test over a state folder and over a database, each filled."""

    @pytest.mark.parametrize("kind", KINDS)
    def run(kind: str, tmp_path: pathlib.Path) -> None:
        with contextlib.ExitStack() as exits:
            where: sources.Where = tmp_path
            if kind == "database":
                where = sources.Database(exits.enter_context(postgres.kept_database()).hub)

            async def filled() -> None:
                async with opened(where) as store:
                    await fill(store, tmp_path)

            asyncio.run(filled())
            test(where, tmp_path)

    run.__doc__ = test.__doc__
    return run


def explained(where: sources.Where, folder: pathlib.Path, then: str, cluster: str | None = None, **more: Any) -> str:
    request, out = folder / "request.json", io.StringIO()
    request.write_text(json.dumps(REQUEST | more))
    assert explain.run_at(request, where, at(then), out, cluster) == 0
    return out.getvalue()


def listed(where: sources.Where, output: str = "json", **filters: Any) -> Any:
    out = io.StringIO()
    assert get.run("snapshots", where, output, out, wanted=lists.Filter(**filters)) == 0
    return json.loads(out.getvalue()) if output == "json" else out.getvalue()


@over_each
def test_the_policies_that_were_in_force_decide(where: sources.Where, folder: pathlib.Path) -> None:
    early = explained(where, folder, "2026-11-24T08:59:59Z")
    assert "Decision:  allow\n" in early
    assert "shop/models" not in early
    assert "Time:      2026-11-24T08:59:59Z\n" in early
    late = explained(where, folder, NINE)
    assert "Decision:  deny\n" in late
    assert "1       shop/models   modelAccess   yes" in late
    assert "Budget/llm-governance/everything" not in late


@over_each
def test_the_budgets_that_were_in_force_are_counted_by(where: sources.Where, folder: pathlib.Path) -> None:
    principal = {"namespace": "late"}
    found = explained(where, folder, TEN, principal=principal, spent={"everything": "100"})
    assert "Refusal:   budget_exceeded: llmgov: Budget/llm-governance/everything has $0.00 left" in found
    assert "SPENT is what the request's file says" in found


@over_each
def test_the_versions_that_decide_are_named_with_their_times(where: sources.Where, folder: pathlib.Path) -> None:
    lines = [line.split() for line in explained(where, folder, NINE).splitlines() if line.startswith("In force:")]
    versions = {row["part"]: row["version"] for row in listed(where, at=at(NINE))}
    assert lines == [
        ["In", "force:", "organization", versions["organization"], "since", EIGHT, "until", TEN, "by", "root"],
        ["In", "force:", "namespace/shop", versions["namespace/shop"], "since", NINE, "by", "jane"],
        ["In", "force:", "prices", versions["prices"], "since", EIGHT, "by", "root"],
    ]


@over_each
def test_the_time_of_the_file_does_not_count(where: sources.Where, folder: pathlib.Path) -> None:
    assert "Decision:  allow\n" in explained(where, folder, EIGHT, time=TEN)


@over_each
def test_a_time_or_a_namespace_without_a_configuration_is_a_sentence(
    where: sources.Where, folder: pathlib.Path
) -> None:
    def sentence(time: str, namespace: str, cluster: str | None = None) -> str:
        with pytest.raises(errors.CommandError) as raised:
            explained(where, folder, time, cluster, principal={"namespace": namespace})
        return str(raised.value)

    assert sentence("2026-11-24T07:59:59Z", "shop") == (
        "no configuration was in force at 2026-11-24T07:59:59Z; the first is of 2026-11-24T08:00:00Z"
    )
    assert sentence(NINE, "late") == (
        "namespace late had no configuration at 2026-11-24T09:00:00Z; its first is of 2026-11-24T10:00:00Z, and"
        " `llmgov get snapshots --namespace late` lists all"
    )
    assert sentence(NINE, "shpo") == (
        "namespace shpo had no configuration at 2026-11-24T09:00:00Z, nor at any other time: is that its name?"
    )
    assert sentence(NINE, "shop", "west") == "no configuration was ever in force in cluster west"


@over_each
def test_of_several_clusters_one_has_to_be_named(where: sources.Where, folder: pathlib.Path) -> None:
    async def another() -> None:
        """As ledgers may be from when clusters could publish into one."""
        parts = {"organization": OrganizationPart("west"), "namespace/shop": snapshot.NamespacePart("shop")}
        rows = [
            PartRow(name, snapshot.version(part), snapshot.encode(part), at(NINE), None, "west", "root")
            for name, part in parts.items()
        ]
        async with opened(where) as store:
            await store.transact(Lock(configuration="west"), lambda book: book.put.parts.extend(rows))

    asyncio.run(another())
    assert "Decision:  allow\n" in explained(where, folder, EIGHT), "before the other one there was one"
    with pytest.raises(errors.CommandError, match=r"name one with --cluster \(local, west\)"):
        explained(where, folder, NINE)
    assert "Decision:  deny\n" in explained(where, folder, NINE, "local")
    with pytest.raises(errors.CommandError, match="no configuration was in force in cluster west at 2026-11-24T08"):
        explained(where, folder, EIGHT, "west")
    assert {row["cluster"] for row in listed(where)} == {"local", "west"}


@over_each
def test_a_document_that_cannot_be_read_is_a_sentence(where: sources.Where, folder: pathlib.Path) -> None:
    async def damage() -> None:
        async with opened(where) as store:
            row = PartRow("namespace/odd", "v1", b"[]", at(EIGHT), None, "local")
            await store.transact(Lock(), lambda book: book.put.parts.append(row))

    asyncio.run(damage())
    with pytest.raises(errors.CommandError, match="namespace/odd v1 cannot be read: Expected `object`"):
        explained(where, folder, EIGHT, principal={"namespace": "odd"})


@over_each
def test_every_version_is_listed_with_its_time(where: sources.Where, folder: pathlib.Path) -> None:
    found = [(row["from"], row["until"], row["part"], row["by"], row["cluster"]) for row in listed(where)]
    assert found == [
        (EIGHT, "", "namespace/llm-governance", "root", "local"),
        (EIGHT, NINE, "namespace/shop", "root", "local"),
        (EIGHT, TEN, "organization", "root", "local"),
        (EIGHT, "", "prices", "root", "local"),
        (NINE, "", "namespace/shop", "jane", "local"),
        (TEN, "", "namespace/late", "root", "local"),
        (TEN, "", "organization", "root", "local"),
    ]


@over_each
def test_versions_are_chosen_by_namespace_and_by_time(where: sources.Where, folder: pathlib.Path) -> None:
    assert [row["from"] for row in listed(where, namespace="shop")] == [EIGHT, NINE]
    assert [row["from"] for row in listed(where, namespace="shop", at=at(NINE))] == [NINE]
    assert [row["part"] for row in listed(where, at=at(NINE) - 1)] == [
        "namespace/llm-governance", "namespace/shop", "organization", "prices",
    ]  # fmt: skip
    assert listed(where, at=at(EIGHT) - 1) == []


@over_each
def test_why_no_version_is_of_a_time_is_said(where: sources.Where, folder: pathlib.Path) -> None:
    def said(**filters: Any) -> str:
        noted = io.StringIO()
        with contextlib.redirect_stderr(noted):
            assert listed(where, "", **filters) == "No snapshots\n"
        return noted.getvalue()

    assert said(at=at(EIGHT) - instants.SECOND) == (
        "llmgov: no configuration was in force at 2026-11-24T07:59:59Z; the first is of 2026-11-24T08:00:00Z\n"
    )
    assert said(at=at(NINE), namespace="late").startswith(
        "llmgov: namespace late had no configuration at 2026-11-24T09:00:00Z; its first is of 2026-11-24T10:00:00Z"
    )


@over_each
def test_a_version_is_short_in_a_table_and_whole_elsewhere(where: sources.Where, folder: pathlib.Path) -> None:
    (whole, *_) = listed(where, namespace="late")
    part = compiled(folder, CREDENTIAL, "late")["namespace/late"]
    assert (whole["version"], whole["bytes"]) == (snapshot.version(part), len(snapshot.encode(part)))
    heading, row = listed(where, "", namespace="late").splitlines()
    assert heading.split() == ["FROM", "UNTIL", "PART", "VERSION", "BYTES", "BY"]
    assert row.split() == [TEN, "<none>", "namespace/late", whole["version"][:8], str(whole["bytes"]), "root"]
    assert whole["version"] in listed(where, "wide", namespace="late")


@pytest.mark.parametrize(
    ("what", "wanted"),
    [("violations", {"at": 5}), ("snapshots", {"limit": 3}), ("snapshots", {"since": 3}), ("outbox", {"at": 5})],
)
def test_a_filter_that_a_list_does_not_take_is_refused(
    what: str, wanted: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    with pytest.raises(errors.CommandError, match="and --namespace and --at among `llmgov get snapshots`"):
        get.run(what, tmp_path, "", io.StringIO(), wanted=lists.Filter(**wanted))
