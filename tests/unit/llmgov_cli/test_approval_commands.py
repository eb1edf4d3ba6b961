"""`llmgov approvals` over a ledger in which a model overran: such an approval never expires."""

import asyncio
import io
import json
import pathlib
from collections.abc import Sequence

import pytest

from llmgov import snapshot
from llmgov.ledger import approvals as rules
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.messages import Refused
from llmgov_cli import approvals, errors
from llmgov_hub import hub
from llmgov_store.sqlite.store import SqliteStore
from tests.support import ledgers

MODEL = "openai/gpt-4o\x1b[31m"


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    def overrun(book: Book) -> None:
        rules.stop_model(book, MODEL, ledgers.settlement("pod-1:1/1", 9), ledgers.NOW)

    async def fill() -> None:
        store = SqliteStore.open(tmp_path / "ledger.db")
        await store.transact(Lock(), overrun)
        await store.close()

    asyncio.run(fill())
    return tmp_path


def _deliver(folder: pathlib.Path, asked: Sequence[Refused]) -> None:
    async def fill() -> None:
        store = SqliteStore.open(folder / "ledger.db")
        await hub.Hub(store, lambda: ledgers.NOW, writer="hub").deliver(asked)
        await store.close()

    asyncio.run(fill())


def _list(folder: pathlib.Path, output: str) -> str:
    out = io.StringIO()
    assert approvals.show(folder, output, out) == 0
    return out.getvalue()


def test_what_never_expires_has_no_time_to_expire(folder: pathlib.Path) -> None:
    headings, line = _list(folder, "").splitlines()
    assert line[headings.index("EXPIRES") :].startswith("<none>   ")
    assert line[headings.index("CREATED") :].startswith("2026-11-24T08:00:00Z   ")
    assert json.loads(_list(folder, "json"))[0]["expires"] == ""


def test_a_decision_is_told_without_the_model_s_escape_sequence(folder: pathlib.Path) -> None:
    (row,) = json.loads(_list(folder, "json"))
    out = io.StringIO()
    assert approvals.decide([row["id"]], folder, "", out, grant=True) == 0
    assert out.getvalue().startswith(f"{row['id']} approved: openai/gpt-4o\\x1b[31m has cost more")


def test_a_list_tells_two_requests_apart_and_why_one_was_denied(folder: pathlib.Path) -> None:
    asked = [
        Refused(
            f"pod-1:1/{number}", ledgers.NOW, f"req-{number}", ledgers.subject(user="jane"), "approval_required",
            "ns/risk", "no", (), 403,
            approval_digest=f"digest{number}", approval_summary="jane wants openai/o3 (up to $1)",
        )
        for number in (1, 2)
    ]  # fmt: skip
    _deliver(folder, asked)
    approvals.decide([snapshot.approval_id("digest1")], folder, "too dear\nfor May", io.StringIO(), grant=False)
    rows = {row["id"]: row for row in json.loads(_list(folder, "json"))}
    first, second = (rows[snapshot.approval_id(f"digest{number}")] for number in (1, 2))
    assert first["summary"] == "jane wants openai/o3 (up to $1); request req-1"
    assert second["summary"] == "jane wants openai/o3 (up to $1); request req-2"
    assert (first["reason"], second["reason"]) == ("too dear\nfor May", "")
    assert (first["requestedBy"], first["created"]) == ("jane", "2026-11-24T08:00:00Z")
    for output in ("", "wide"):
        (line,) = [line for line in _list(folder, output).splitlines() if "req-1" in line]
        assert "too dear" in line


def test_several_are_denied_at_once_and_who_is_none_is_told(folder: pathlib.Path) -> None:
    asked = [
        Refused(
            f"pod-1:1/{number}", ledgers.NOW, "r", ledgers.subject(), "approval_required", "ns/risk", "no", (), 403,
            approval_digest=f"digest{number}", approval_summary="o3",
        )
        for number in (1, 2)
    ]  # fmt: skip
    _deliver(folder, asked)
    out = io.StringIO()
    first, second = (snapshot.approval_id(f"digest{number}") for number in (1, 2))
    with pytest.raises(errors.CommandError, match=r"^there is no approval apr-none$"):
        approvals.decide([first, "apr-none", second, first], folder, "too many", out, grant=False)
    assert [line.split(":")[0] for line in out.getvalue().splitlines()] == [f"{first} denied", f"{second} denied"]
