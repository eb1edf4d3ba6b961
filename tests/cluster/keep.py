"""`make cluster` and `make cluster-down`: a cluster that stays, under .cluster/, with the operator and the quickstart.

`python -m tests.cluster.keep up|down [FOLDER]`. The folder has the kubeconfig, the logs, and the list of what was
started, by which it is ended.
"""

import pathlib
import re
import shlex
import sys

from tests.cluster import binary, contents, control_plane, janitor, ports
from tests.cluster.janitor import Janitor

FOLDER = pathlib.Path(__file__).parents[2] / ".cluster"

_STARTED = "started"


def up(folder: pathlib.Path = FOLDER) -> None:
    """Start a cluster and leave it running; raises FileExistsError where one is there."""
    folder = folder.absolute()
    folder.mkdir(mode=0o700)
    list_of_started = folder / _STARTED
    keeper, reserved = Janitor.keeping(list_of_started), ports.Reserved(3)
    keeper.folder(folder)
    try:
        plane = control_plane.on_loopback(folder, keeper, reserved)
        plane.start_all()
        contents.install(plane.cluster())
        contents.operate(plane.cluster(), keeper, folder)
    except BaseException:
        janitor.end_kept(list_of_started)
        raise
    finally:
        keeper.let_go()
        reserved.release()
    (folder / "kubectl").symlink_to(binary.program("kubectl"))


def down(folder: pathlib.Path = FOLDER) -> None:
    """End the cluster and remove its folder; nothing where there is none."""
    list_of_started = folder.absolute() / _STARTED
    if list_of_started.exists():
        janitor.end_kept(list_of_started)
    elif folder.exists():
        folder.rmdir()  # interrupted before anything was started


def main(arguments: list[str]) -> int:
    """Run from the command line; the exit code."""
    command, *folders = arguments
    folder = pathlib.Path(*folders) if folders else FOLDER
    if command == "down":
        down(folder)
        return 0
    lack = binary.lacking()
    if lack is not None:
        print(f"{lack[0].upper()}{lack[1:]}", file=sys.stderr)
        return 1
    try:
        up(folder)
    except FileExistsError:
        print(f"{folder} is there already: end that cluster first (make cluster-down)", file=sys.stderr)
        return 1
    print(_told(folder))
    return 0


def _told(folder: pathlib.Path) -> str:
    """What there is, and how to look at it."""
    name = shlex.quote(str(folder))
    llmgov = pathlib.Path(sys.executable).with_name("llmgov")
    log = (folder / "operator.log").read_text()
    found = re.search(r"probes and metrics are at port ([0-9]+)", log)
    metrics = f"curl http://127.0.0.1:{found[1]}/metrics" if found else f"the port is in {name}/operator.log"
    return f"""\
A cluster with operator and quickstart runs until `make cluster-down`. For this shell:

  export KUBECONFIG={name}/kubeconfig
  alias kubectl={name}/kubectl

What is in force, and what was, is in the operator's ledger; so are accounts and the audit:

  {llmgov} get budgets --state {name}         # also accounts, violations, snapshots
  {llmgov} audit show --state {name}

The operator's log is {name}/operator.log; its metrics: {metrics}
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
