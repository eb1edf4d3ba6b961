"""Local mode whose sidecars wait half a second for the ledger and the audit, so that tests of outages are quick.

`python -m tests.support.impatient_local FOLDER STATE NAMESPACE/SERVICEACCOUNT...` serves until SIGTERM.
"""

import asyncio
import pathlib
import signal
import sys

from llmgov_cli.local import serve
from llmgov_sidecar import settings

BOUNDS = settings.Settings(lease_seconds=0.5, strict_seconds=0.5, drain_seconds=1)


async def main(place: pathlib.Path, state: pathlib.Path, *workloads: str) -> None:
    """Serve."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with serve.Serving(place, state, dict.fromkeys(workloads, 0), bounds=BOUNDS):
        await stopped.wait()


if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).mkdir(mode=0o700)
    asyncio.run(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:]))
