"""`llmgov sidecar`: one sidecar in a process of its own. Its imports are its start-up time; keep them few."""

import asyncio
import gc
import os
import signal
import sys

import uvloop

from llmgov.policy.decision import Workload
from llmgov_sidecar import settings
from llmgov_sidecar.sidecar import Sidecar

_YOUNG = 20_000
"""Objects, net, after which the collector looks for cycles: those of some hundred requests under way."""

_USAGE = """usage: llmgov sidecar

The proxy beside an application: governs what it asks LLM providers. Set by environment variables:

{variables}

It ends after SIGTERM when the requests under way are answered. Exit codes: 0 ended, 1 could not start, 2 wrong usage.
"""


def main(arguments: list[str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    if arguments:
        asked = arguments[0] in ("-h", "--help")
        print(_usage(), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    try:
        given = settings.from_environment(os.environ)
    except settings.SettingsError as error:
        print(f"llmgov: {error}", file=sys.stderr)
        return 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(given))


async def _serve(given: settings.Settings) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        sidecar = Sidecar(given, Workload(given.namespace, given.service_account, pod=given.holder))
        await sidecar.start()
    except OSError as error:
        print(f"llmgov: the sidecar cannot start: {error}", file=sys.stderr)
        return 1
    settle_memory()
    await stopping.wait()
    await sidecar.stop()
    return 0


def settle_memory() -> None:
    """What lives from the start on is never garbage: collections look at the new alone, and seldom.

    A request leaves no cycles behind (a test looks), so that collections find next to nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


def _usage() -> str:
    fields = settings.Settings()
    lines = [
        f"  {settings.PREFIX}{name.upper():24} (default {getattr(fields, name)})"
        for name in settings.Settings.__struct_fields__
    ]
    return _USAGE.format(variables="\n".join(lines))
