"""Local mode's state folder: which one a command finds, and what a start forgets."""

import asyncio
import datetime
import os
import pathlib

import pytest

from llmgov import snapshot
from llmgov.statuses.observed import Facts
from llmgov_cli import errors
from llmgov_cli.local import lock, state

MOMENT = datetime.datetime(2026, 11, 24, 8, tzinfo=datetime.UTC)


def _start(base: pathlib.Path, minute: int) -> pathlib.Path:
    folder = state.fresh(MOMENT + datetime.timedelta(minutes=minute), base)
    (folder / "ledger.db").touch()
    return folder


def test_the_newest_folder_is_found(tmp_path: pathlib.Path) -> None:
    _start(tmp_path, 0)
    newest = _start(tmp_path, 1)
    assert state.find(None, tmp_path) == newest


def test_the_newest_that_is_served_is_found_before_newer_ones_that_ended(tmp_path: pathlib.Path) -> None:
    async def serve_and_find() -> tuple[list[pathlib.Path], pathlib.Path, pathlib.Path]:
        started = [_start(tmp_path, minute) for minute in range(4)]
        async with lock.held(started[0]), lock.held(started[1]):
            while_served = state.find(None, tmp_path)
        return started, while_served, state.find(None, tmp_path)

    started, while_served, after = asyncio.run(serve_and_find())
    assert (while_served, after) == (started[1], started[3])


def test_a_start_forgets_all_but_the_newest(tmp_path: pathlib.Path) -> None:
    started = [_start(tmp_path, minute) for minute in range(state.KEPT + 2)]
    assert sorted(tmp_path.iterdir()) == started[2:]


def test_a_start_does_not_forget_what_is_being_served(tmp_path: pathlib.Path) -> None:
    async def serve_and_start() -> list[pathlib.Path]:
        old = _start(tmp_path, 0)
        async with lock.held(old):
            return [old, *(_start(tmp_path, minute) for minute in range(1, state.KEPT + 2))]

    started = asyncio.run(serve_and_start())
    assert sorted(tmp_path.iterdir()) == [started[0], *started[2:]]


def test_a_state_folder_is_private(tmp_path: pathlib.Path) -> None:
    assert _start(tmp_path, 0).stat().st_mode & 0o077 == 0


def test_no_folder_says_how_to_get_one(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match="start one with `llmgov local DIR`"):
        state.find(None, tmp_path)


def test_a_named_folder_must_be_one(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match=r"has no ledger\.db"):
        state.find(tmp_path, tmp_path)


def test_what_was_written_is_read(tmp_path: pathlib.Path) -> None:
    run = _run(os.getpid())
    state.write_run(tmp_path, run)
    assert state.read_run(tmp_path) == run


def _run(pid: int) -> state.Run:
    account = snapshot.Account(
        "k", snapshot.Target(snapshot.TargetKind.ORGANIZATION), 1, snapshot.Period.DAY, "UTC", "s"
    )
    facts = Facts((account,), {"t": snapshot.Team("t")}, {"a": "t", "b": None}, {"a/p": ("a",)}, {"x": 1})
    return state.Run(pid, "examples", 0, {"a/b": 4010}, {"a/b": True}, ({"kind": "Team"},), (), facts, ("broken",))
