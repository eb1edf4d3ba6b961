"""Whatever is started is ended: when its owner is killed, too, and never anything else."""

import contextlib
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster import binary, control_plane, janitor, janitor_process, keep
from tests.cluster.janitor import Janitor
from tests.support.machine import requires

_ROOT = pathlib.Path(__file__).parents[2]
_OWNER = """
import pathlib, signal
from tests.cluster import control_plane
with control_plane.running() as plane:
    print(plane.folder, flush=True)
    signal.pause()
"""


def _processes_of(folder: pathlib.Path) -> set[int]:
    """The processes with this folder in their command line, by an independent way: /proc."""
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.add(int(path.parent.name))
    return found


def _soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 15
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@requires("kubernetes of its own")
def test_sigkill_of_the_owner_leaves_no_process_and_no_folder() -> None:
    with subprocess.Popen([sys.executable, "-c", _OWNER], cwd=_ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = pathlib.Path(owner.stdout.readline().strip())
        assert len(_processes_of(folder)) == 3
        owner.send_signal(signal.SIGKILL)
    assert _soon(lambda: not _processes_of(folder))
    assert _soon(lambda: not folder.exists())


def test_one_that_cannot_start_says_why_and_leaves_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, script in (("etcd", 'exec tail -f "$0"'), ("kube-apiserver", "echo the disk is full; exit 1")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv(binary.ASSETS, str(tmp_path))
    with pytest.raises(RuntimeError, match="the disk is full"), control_plane.running():
        pass
    assert not _processes_of(tmp_path)


@requires("kubernetes of its own")
def test_a_kept_cluster_outlives_who_started_it_until_it_is_ended(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "kept"
    command = [sys.executable, "-m", "tests.cluster.keep"]
    try:
        subprocess.run([*command, "up", folder], cwd=_ROOT, check=True, stdout=subprocess.PIPE)
        kubectl = [f"{folder}/kubectl", f"--kubeconfig={folder}/kubeconfig", f"--cache-dir={tmp_path}/cache"]
        listed = subprocess.run(
            [*kubectl, "get", "crds", "--output=name"], check=True, stdout=subprocess.PIPE, text=True
        )
        assert "customresourcedefinition.apiextensions.k8s.io/budgets.llmgov.dev" in listed.stdout.split()
        again = subprocess.run([*command, "up", folder], cwd=_ROOT, stderr=subprocess.PIPE, text=True)
        assert again.returncode == 1
        assert "make cluster-down" in again.stderr
        assert len(_processes_of(folder)) == 3
    finally:
        keep.down(folder)
    assert not _processes_of(folder)
    assert not folder.exists()


@pytest.fixture
def sleeper(tmp_path: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that nobody's list has to end."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_a_process_that_has_the_number_of_an_ended_one_is_left_alone(
    sleeper: subprocess.Popen[bytes], tmp_path: pathlib.Path
) -> None:
    since = janitor_process.started(sleeper.pid)
    assert since is not None
    kept = tmp_path / "started"
    kept.write_text(json.dumps({"process": sleeper.pid, "started": f"{int(since) - 1}"}) + "\n")
    janitor.end_kept(kept)
    assert sleeper.poll() is None
    kept.write_text(json.dumps({"process": sleeper.pid, "started": since}) + "\n")
    janitor.end_kept(kept)
    assert sleeper.wait() == -signal.SIGKILL


def test_an_entry_that_was_cut_short_hides_none_of_the_others(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "scratch"
    (folder / "deep").mkdir(parents=True)
    kept = tmp_path / "started"
    kept.write_text(json.dumps({"folder": str(folder)}) + '\n{"folder": "/')
    janitor.end_kept(kept)
    assert not folder.exists()


def test_commands_run_after_the_processes_have_ended(tmp_path: pathlib.Path) -> None:
    touch = shutil.which("touch")
    assert touch is not None
    watching = Janitor.watching()
    watching.command(touch, str(tmp_path / "ran"))
    process = watching.start(tmp_path / "log", "sleep", "600")
    watching.end()
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "ran").exists()
