"""Unknown money, found and corrected by commands, in a state folder and in a database alike."""

import asyncio
import contextlib
import io
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmgov.ledger.messages import Charged, LeaseGrant, LeaseRequest, Need, Outcome
from llmgov.ledger.store import Store
from llmgov.snapshot import OrganizationPart, Period, Target, TargetKind
from llmgov_cli import correcting, errors, sources, spend, unknown
from llmgov_cli.local import lock
from llmgov_hub.hub import Hub
from llmgov_store.postgres.store import PostgresStore
from llmgov_store.sqlite.store import SqliteStore
from tests.support import ledgers, machine, postgres
from tests.support.ledgers import CENT, USD

YEAR = ledgers.account(period=Period.YEAR)
WHOLE = ledgers.account(Target(TargetKind.ORGANIZATION), period=Period.YEAR, limit=100 * USD)
ATTEMPT, LEASE = "pod-1:1/1", "pod-1:1/1/0"


async def _fill(store: Store, clock: Callable[[], int]) -> None:
    """An attempt that nobody knows the end of, and what its pod was lent beside, which is lost with it."""
    hub = Hub(store, clock, writer="hub-1")
    await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(YEAR, WHOLE))})
    needs = tuple(Need(account.key, account, 20 * CENT, 40 * CENT) for account in (YEAR, WHOLE))
    grant = await ledgers.lease(hub, LeaseRequest(ledgers.epoch(), 1, needs, ledgers.PATH))
    assert isinstance(grant, LeaseGrant)
    charged = tuple(Charged(lease.id, lease.key, 20 * CENT) for lease in grant.leases)
    await hub.deliver([ledgers.intent(ATTEMPT, 20 * CENT, charged, at=clock())])
    await hub.deliver([ledgers.settlement(ATTEMPT, 20 * CENT, at=clock(), outcome=Outcome.UNKNOWN)])
    await hub.leases.lose("pod-1")


@contextlib.contextmanager
def _folder(path: pathlib.Path) -> Iterator[sources.Source]:
    async def fill() -> None:
        store = SqliteStore.open(path / "ledger.db")
        await _fill(store, lambda: ledgers.NOW)
        await store.close()

    asyncio.run(fill())
    yield sources.Folder(path)


@contextlib.contextmanager
def _database(_: pathlib.Path) -> Iterator[sources.Source]:
    with postgres.kept_database() as database:

        async def fill() -> None:
            store = await PostgresStore.open(database.hub)
            await _fill(store, await store.clock())
            await store.close()

        asyncio.run(fill())
        yield sources.Database(database.hub)


@pytest.fixture(params=["folder", pytest.param("database", marks=machine.requires("postgres"))])
def source(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[sources.Source]:
    with (_folder if request.param == "folder" else _database)(tmp_path) as opened:
        yield opened


def _read(command: Callable[..., int], *given: Any, output: str = "", **options: Any) -> str:
    out = io.StringIO()
    assert command(*given, output, out, **options) == 0
    return out.getvalue()


def _json(command: Callable[..., int], *given: Any, **options: Any) -> Any:
    return json.loads(_read(command, *given, output="json", **options))


def _correct(source: sources.Source, subject: str, cost: str, **options: Any) -> Any:
    return _json(correcting.run, subject, cost, "the bill", source, **options)


def test_unknown_money_is_listed_with_the_ids_to_correct_it_by(source: sources.Source) -> None:
    found = _json(unknown.run, source)
    assert [(row["attempt"], row["charged"]) for row in found["attempts"]] == [(ATTEMPT, "0.20")]
    assert [row["lease"] for row in found["leases"]] == [LEASE, "pod-1:1/1/1"]
    assert {row["holder"] for row in found["leases"]} == {"pod-1"}
    text = _read(unknown.run, source)
    assert ATTEMPT in text
    assert "llmgov spend correct" in text


def test_a_corrected_attempt_shows_every_account_before_and_after(source: sources.Source) -> None:
    made = _correct(source, ATTEMPT, "0.05")
    assert (made["correction"]["before"], made["correction"]["after"]) == ("0.20", "0.05")
    changes = {row["account"]: (row["spentBefore"], row["spentAfter"]) for row in made["accounts"]}
    assert changes == {YEAR.key: ("0.20", "0.05"), WHOLE.key: ("0.20", "0.05")}
    (line,) = _json(spend.run, "team", source)["lines"]
    assert (line["spent"], line["unknown"], line["corrected"]) == ("0.05", "0.00", "-0.15")
    assert _json(unknown.run, source)["attempts"] == []
    (row,) = _json(correcting.show, source)
    assert (row["subject"], row["kind"], row["reason"]) == (ATTEMPT, "attempt", "the bill")


def test_a_corrected_lease_ends_what_is_held_and_is_told_beside_the_attempts(source: sources.Source) -> None:
    (change,) = _correct(source, LEASE, "0.07")["accounts"]
    assert (change["account"], change["spentAfter"], change["heldAfter"]) == (YEAR.key, "0.27", "0.00")
    report = _json(spend.run, "model", source)
    assert report["total"]["spent"] == "0.20"
    assert [(row["account"], row["spent"]) for row in report["lostLeases"]] == [(YEAR.key, "0.07")]
    assert f"{YEAR.key}   " in _read(spend.run, "model", source).partition("What lost leases")[2]
    assert [row["lease"] for row in _json(unknown.run, source)["leases"]] == ["pod-1:1/1/1"]


def test_what_a_lost_pod_cost_the_organization_has_a_line_and_is_in_the_total(source: sources.Source) -> None:
    before = _read(spend.run, "team", source)
    (lost,) = [row["unknown"] for row in _json(unknown.run, source)["leases"] if row["account"] == WHOLE.key]
    assert f"$0.20 of SPENT is unknown, and ${lost} that lost pods had is still held" in before
    assert "(lost pods)" not in before
    (change,) = _correct(source, "pod-1:1/1/1", "0.06")["accounts"]
    report = _json(spend.run, "team", source)
    assert [(line["team"], line["spent"]) for line in report["lines"]] == [
        ("payments", "0.20"),
        ("(lost pods)", "0.06"),
    ]
    assert report["total"]["spent"] == change["spentAfter"] == "0.26"
    assert report["lostPods"] == {"account": WHOLE.key, "spent": "0.06", "held": "0.00", "beyond": "0.00"}
    text = _read(spend.run, "team", source)
    assert f"(lost pods) is what leases of lost pods were found to cost in account {WHOLE.key}.\n" in text
    hour = _json(spend.run, "team", source, start=ledgers.NOW, end=ledgers.NOW + 1)
    assert (hour["total"]["spent"], hour["lostPods"]["beyond"]) in (("0.20", "0.06"), ("0.00", "0.06"))
    assert "is not in the total" in _read(spend.run, "team", source, start=ledgers.NOW, end=ledgers.NOW + 1)


def test_a_holder_that_lost_money_in_several_accounts_is_asked_which(source: sources.Source) -> None:
    with pytest.raises(errors.CommandError, match="has lost money in 2 windows") as raised:
        _correct(source, "pod-1", "0.01")
    assert f"--account '{WHOLE.key}' --window 20" in str(raised.value)
    (change,) = _correct(source, "pod-1", "0.01", account=WHOLE.key)["accounts"]
    assert (change["account"], change["spentAfter"], change["heldAfter"]) == (WHOLE.key, "0.21", "0.00")
    (change,) = _correct(source, "pod-1", "0.02")["accounts"]
    assert change["account"] == YEAR.key


def test_an_order_that_is_repeated_with_its_id_changes_nothing(source: sources.Source) -> None:
    start = next(row["from"] for row in _json(unknown.run, source)["leases"] if row["account"] == WHOLE.key)
    for _ in range(2):
        made = _correct(source, "pod-1", "0.01", account=WHOLE.key, window=start, id_="c-1")
    assert made["accounts"] == []
    assert "it had been made before" in _read(
        correcting.run, "pod-1", "0.01", "the bill", source, account=WHOLE.key, window=start, id_="c-1"
    )
    assert len(_json(correcting.show, source)) == 1
    with pytest.raises(errors.CommandError, match="give this one another --id"):
        _correct(source, ATTEMPT, "0.02", id_="c-1")


@pytest.mark.parametrize(("subject", "what"), [(ATTEMPT, "attempt"), (LEASE, "lease")])
def test_what_costs_that_already_is_not_corrected_again(source: sources.Source, subject: str, what: str) -> None:
    _correct(source, subject, "0.05")
    told = _read(correcting.run, subject, "0.05", "the bill", source)
    assert told == f"{what} {subject} costs $0.05 already: nothing is to change, and nothing was recorded\n"
    made = _correct(source, subject, "0.05")
    assert (made["correction"], made["accounts"]) == (None, [])
    assert len(_json(correcting.show, source)) == 1
    assert _correct(source, subject, "0.06")["correction"]["before"] == "0.05"


def test_an_assumed_cost_that_the_bill_confirms_is_recorded(source: sources.Source) -> None:
    assert _correct(source, ATTEMPT, "0.20")["correction"]["after"] == "0.20"
    assert _json(unknown.run, source)["attempts"] == []


@pytest.mark.parametrize(
    ("subject", "cost", "options", "said"),
    [
        (
            "pod-9:1/7",
            "1",
            {},
            "the ledger has no attempt pod-9:1/7; `llmgov spend unknown` lists what can be corrected",
        ),
        (
            "pod-9:1/7/0",
            "1",
            {},
            "the ledger has no lease pod-9:1/7/0; `llmgov spend unknown` lists what can be corrected",
        ),
        (
            "pod-9",
            "1",
            {},
            "pod-9 is no attempt's id (such as POD:1/42) and no lease's (POD:1/7/0), and no holder of this name has",
        ),
        (ATTEMPT, "-1", {}, "--cost -1: must be a decimal string"),
        (ATTEMPT, "1e3", {}, "--cost 1e3: must be a decimal string"),
        (ATTEMPT, "2000000", {}, "is more than 1000000000000; write what the provider billed, in USD"),
        (ATTEMPT, "1", {"account": "x"}, "--account and --window are for a holder's leases"),
    ],
)
def test_what_cannot_be_corrected_is_said_with_what_to_do(
    source: sources.Source, subject: str, cost: str, options: dict[str, str], said: str
) -> None:
    with pytest.raises(errors.CommandError) as raised:
        _correct(source, subject, cost, **options)
    assert said in str(raised.value)
    assert _json(correcting.show, source) == []


def test_a_correction_needs_a_reason(source: sources.Source) -> None:
    with pytest.raises(errors.CommandError, match="reason: must not be empty; shorten it, or say why"):
        correcting.run(ATTEMPT, "1", " ", source, "", io.StringIO())


def test_a_folder_is_corrected_beside_the_process_that_serves_it(tmp_path: pathlib.Path) -> None:
    async def correct() -> list[str]:
        async with lock.held(tmp_path):
            store = SqliteStore.open(tmp_path / "ledger.db")
            await _fill(store, lambda: ledgers.NOW)
            await asyncio.to_thread(_correct, sources.Folder(tmp_path), ATTEMPT, "0.05")
            await Hub(store, lambda: ledgers.NOW, writer="hub-1").deliver([ledgers.intent("pod-2:1/1", 0)])
            writers = await store.writers()
            await store.close()
        return writers

    assert asyncio.run(correct()) == ["cli", "hub-1"]


def test_where_nothing_is_unknown_or_corrected_that_is_said(tmp_path: pathlib.Path) -> None:
    asyncio.run(SqliteStore.open(tmp_path / "ledger.db").close())
    assert _read(unknown.run, tmp_path) == "No unknown money\n"
    assert _read(correcting.show, tmp_path) == "No corrections\n"
