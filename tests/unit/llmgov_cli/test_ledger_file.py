"""The ledger of an operator of one process: its folder or its URL is enough for every command that looks."""

import asyncio
import io
import json
import pathlib
from typing import Any

import pytest

from llmgov.snapshot import OrganizationPart, Period
from llmgov_cli import errors, get, sources
from llmgov_cli.hub import DATABASE_URL
from llmgov_hub.hub import Hub
from llmgov_store.sqlite.store import SqliteStore
from tests.support import ledgers

YEAR = ledgers.account(period=Period.YEAR)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """As an operator leaves it: a ledger with one account, and nothing that `llmgov local` writes."""

    async def fill() -> None:
        store = SqliteStore.open(tmp_path / "ledger.db")
        hub = Hub(store, lambda: ledgers.NOW, writer="hub-1")
        await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(YEAR,))})
        await store.close()

    asyncio.run(fill())
    return tmp_path


def _listed(what: str, where: sources.Where) -> list[dict[str, Any]]:
    out = io.StringIO()
    assert get.run(what, where, "json", out) == 0
    found = json.loads(out.getvalue())
    return list(found["items"] if isinstance(found, dict) else found)


@pytest.mark.parametrize("way", ["folder", "URL", "environment"])
def test_budgets_accounts_and_violations_are_read(way: str, folder: pathlib.Path) -> None:
    url = f"sqlite:///{folder / 'ledger.db'}"
    where = {
        "folder": lambda: sources.chosen(folder, None, {}),
        "URL": lambda: sources.chosen(None, url, {}),
        "environment": lambda: sources.chosen(None, None, {DATABASE_URL: url}),
    }[way]()
    kept = f"{YEAR.source.removeprefix('Budget/')}"
    names = [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in _listed("budgets", where)]
    assert names == [kept]
    assert [each["limitedBy"] for each in _listed("accounts", where)] == [YEAR.source]
    assert _listed("violations", where) == []


def test_policies_are_where_they_were_applied(folder: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match=r"kubectl get llmpolicies\.llmgov\.dev -A"):
        get.run("policies", folder, "", io.StringIO())


def test_a_file_that_is_not_there_is_not_made(tmp_path: pathlib.Path) -> None:
    source = sources.find(sources.chosen(None, f"sqlite:///{tmp_path / 'lost.db'}", {}))

    async def nothing(ledger: object) -> None:
        """Whoever changes a ledger opens it first."""

    with pytest.raises(errors.CommandError, match=r"lost\.db: there is no such file"):
        sources.change(source, nothing)
    assert list(tmp_path.iterdir()) == []


def test_a_url_without_a_path_is_no_ledger() -> None:
    assert sources.chosen(None, "sqlite:///", {}) == sources.Database("sqlite:///")
