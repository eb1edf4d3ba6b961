"""The lock of a state folder: one process has it, and a process that ended, however, has it no more."""

import asyncio
import pathlib
import signal
import subprocess
import sys

import pytest

from llmgov_cli import errors
from llmgov_cli.local import lock

HOLDER = """
import asyncio, pathlib, sys
from llmgov_cli.local import lock
async def main():
    async with lock.held(pathlib.Path(sys.argv[1])):
        print("held", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def _take(folder: pathlib.Path) -> bool:
    """Take the lock and say whether the folder is served meanwhile."""

    async def take() -> bool:
        async with lock.held(folder):
            return lock.served(folder)

    return asyncio.run(take())


def test_a_folder_is_served_while_the_lock_is_held_and_not_before_or_after(tmp_path: pathlib.Path) -> None:
    assert not lock.served(tmp_path)
    assert _take(tmp_path)
    assert not lock.served(tmp_path)


def test_another_process_is_named_and_a_killed_one_has_it_no_more(tmp_path: pathlib.Path) -> None:
    arguments = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(errors.CommandError, match=f"is served by process {holder.pid}; name another --state"):
            _take(tmp_path)
        assert lock.served(tmp_path)
        holder.send_signal(signal.SIGKILL)
    assert not lock.served(tmp_path)
    assert _take(tmp_path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match=r"ghost/lock cannot be opened: No such file"):
        _take(tmp_path / "ghost")


def test_to_look_leaves_the_folder_as_it_is(tmp_path: pathlib.Path) -> None:
    assert not lock.served(tmp_path)
    assert list(tmp_path.iterdir()) == []
    _take(tmp_path)
    before = (tmp_path / lock.FILE).stat()
    assert not lock.served(tmp_path)
    assert (tmp_path / lock.FILE).stat().st_mtime_ns == before.st_mtime_ns
