"""Local mode's state folder: what the serving process writes, and the commands that look at it read.

    ledger.db        ledger, audit, outbox, approvals (SQLite)
    run.json         the serving process: pid, folder, sidecars' ports and metrics, resources, problems (`Run`)
    signing.key      the audit's signing key, mode 0600;  signing.pub  what `audit verify` pins
    anchors.jsonl    checkpoints written outside the database
    sidecars/<namespace>.<serviceAccount>/  each sidecar's own volume: spool and last good snapshot
    log.jsonl        logs, a JSON object a line
    lock             locked while a process serves; two never do (`lock`)

Without `--state` every start gets a new folder below `.llmgov/`, named by its time; commands read the newest that is
being served, else the newest, and a start removes all but the ten newest and those being served. With `--state` the
folder is the user's, kept and used again.
"""

import datetime
import pathlib
import shutil
from itertools import filterfalse
from typing import Any

import msgspec

from llmgov import problems
from llmgov.instants import Instant
from llmgov.statuses.observed import Facts
from llmgov_cli import errors
from llmgov_cli.local import lock

BASE = pathlib.Path(".llmgov")
OWN = frozenset({"ledger.db", "run.json", lock.FILE})
"""Names by which a state folder is known; a start that failed early leaves the last one alone."""
KEPT = 10
"""Folders that a start leaves: enough to look back, bounded on disk."""


class Run(msgspec.Struct, frozen=True):
    """What the serving process says of itself.

    `resources` are the documents in force, as YAML has them; `sidecars` maps a workload to its port, `metrics` to
    where its sidecar shows them, `enforcing` to whether it runs the version in force; `rejected` has a sentence for
    each reason why the newest state of the folder is not in force: the last good one stays.
    """

    pid: int
    folder: str
    since: Instant
    sidecars: dict[str, int]
    enforcing: dict[str, bool]
    resources: tuple[dict[str, Any], ...]
    problems: tuple[problems.Problem, ...]
    facts: Facts
    rejected: tuple[str, ...] = ()
    metrics: dict[str, str] = {}


def fresh(moment: datetime.datetime, base: pathlib.Path = BASE) -> pathlib.Path:
    """Make a new state folder and forget all but the newest, and what is being served; `moment` names it."""
    base.mkdir(parents=True, exist_ok=True)
    folder = base / f"{moment:%Y%m%dT%H%M%S.%f}Z"
    folder.mkdir(mode=0o700)
    for old in filterfalse(lock.served, _runs(base)[:-KEPT]):
        shutil.rmtree(old, ignore_errors=True)
    return folder


def find(explicit: pathlib.Path | None, base: pathlib.Path = BASE) -> pathlib.Path:
    """The folder that a command looks at: of those below `base` the newest that is served, else the newest.

    A `--once` run beside a serving process makes a newer one, and is over when somebody looks.

    Raises:
        CommandError: there is none.
    """
    if explicit is not None:
        if not (explicit / "ledger.db").exists():
            raise errors.CommandError(f"{explicit} is no state folder of local mode: it has no ledger.db")
        return explicit
    runs = [folder for folder in _runs(base) if (folder / "ledger.db").exists()]
    if not runs:
        raise errors.CommandError(
            f"no state folder in {base}/; start one with `llmgov local DIR`, or name one with --state"
        )
    return next(filter(lock.served, reversed(runs)), runs[-1])


def write_run(folder: pathlib.Path, run: Run) -> None:
    """Replace `run.json` atomically: a reader sees the old or the new one."""
    target = folder / "run.json"
    temporary = target.with_suffix(".tmp")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(run)))
    temporary.replace(target)


def read_run(folder: pathlib.Path) -> Run:
    """What the serving process last said.

    Raises:
        CommandError: it never said anything, or it is of another version.
    """
    try:
        return msgspec.json.decode((folder / "run.json").read_bytes(), type=Run)
    except FileNotFoundError as error:
        raise errors.CommandError(f"{folder} has no run.json: no `llmgov local` has served from it") from error
    except msgspec.MsgspecError as error:
        raise errors.CommandError(f"{folder}/run.json cannot be read: {error}") from error


def _runs(base: pathlib.Path) -> list[pathlib.Path]:
    if not base.is_dir():
        return []
    return sorted(folder for folder in base.iterdir() if folder.name[:1].isdigit() and folder.is_dir())
