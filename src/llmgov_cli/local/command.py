"""`llmgov local`: start, play where asked, print the tables, serve until a signal."""

import asyncio
import contextlib
import datetime
import pathlib
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from llmgov_cli import errors, traffic
from llmgov_cli.local import play, players, state, watch, workloads

if TYPE_CHECKING:
    from llmgov_cli.local.serve import Serving


def run(place: pathlib.Path, given: list[str], explicit: pathlib.Path | None, *, playing: bool, once: bool) -> int:
    """Serve `place`; `given` are `namespace/serviceAccount=port`. Returns the exit code.

    Raises:
        CommandError: an argument or the folder is wrong, or something cannot be started.
    """
    if not place.is_dir():
        raise errors.CommandError(f"{place} is no folder")
    steps = play.read(place) if playing else None
    if playing and steps is None:
        _warn(f"no {play.FILE} in {place}: nothing to play")
    ports = workloads.ports(given, steps, once=once)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(place, explicit, ports, steps, once=once))


def _state_folder(place: pathlib.Path, explicit: pathlib.Path | None) -> pathlib.Path:
    try:
        if explicit is None:
            return state.fresh(datetime.datetime.now(datetime.UTC))
        _check_outside(place, explicit)
        explicit.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_ours(explicit)
    except OSError as error:
        where = state.BASE if explicit is None else f"--state {explicit}"
        raise errors.CommandError(f"{where} cannot be made a folder: {error.strerror}") from error
    return explicit


def _check_outside(place: pathlib.Path, explicit: pathlib.Path) -> None:
    """Keys do not belong among YAML that is committed, nor a database into a folder that is watched."""
    served, kept = place.resolve(), explicit.resolve()
    hidden = kept.is_relative_to(served) and any(part.startswith(".") for part in kept.relative_to(served).parts)
    if kept.is_relative_to(served) and not hidden:
        raise errors.CommandError(
            f"--state {explicit} lies in {place}, and keys would be written among its YAML; name a folder elsewhere, or"
            " one whose name begins with a dot"
        )


def _check_ours(explicit: pathlib.Path) -> None:
    """A folder of other things, such as one of examples, would get keys and a database among them."""
    names = {each.name for each in explicit.iterdir()}
    if names and not names & state.OWN:
        raise errors.CommandError(
            f"--state {explicit} holds other things and no state of local mode; name an empty folder, or a new one"
        )


async def _run(
    place: pathlib.Path,
    explicit: pathlib.Path | None,
    ports: dict[str, int],
    steps: traffic.Traffic | None,
    *,
    once: bool,
) -> int:
    state_folder = _state_folder(place, explicit)
    _say(f"Starting hub, sidecars and a mock provider for {place}")
    seen = watch.signature(place)
    async with contextlib.AsyncExitStack() as exits:
        applications = play.Applications()
        exits.push_async_callback(applications.stop)
        if steps is not None:
            await applications.start(steps)
        from llmgov_cli.local import serve

        serving = await exits.enter_async_context(serve.Serving(place, state_folder, ports))
        _say(f"Serving; state is in {state_folder}")
        _warn_all(serving)
        held = await _play(serving, steps, applications) if steps is not None else True
        if steps is not None or once:
            held = await _tables(serving) and held
            _say("\n" + _summary(steps, held=held))
        if not once:
            await applications.stop()
            _say_where(serving.ports, serving.metrics, explicit, serving.trial)
            await _serve(serving, seen)
    return 0 if held else 1


async def _play(serving: "Serving", steps: traffic.Traffic, applications: play.Applications) -> bool:
    """Play the steps; whether every expectation held."""
    _say(f"Playing {play.FILE} through the official SDKs (they take a moment to load)\n")
    return await play.play(steps, applications, serving.ports, serving.approve_all, sys.stdout)


async def _tables(serving: "Serving") -> bool:
    """Print the tables of all that has happened so far; whether the audit verifies."""
    await serving.delivered()
    await serving.sign()
    held = True
    for title, command in _TABLES:
        _say(f"\n$ llmgov {title}")
        code = await asyncio.to_thread(command, serving.state_folder)
        held = held and code == 0
    return held


def _summary(steps: traffic.Traffic | None, *, held: bool) -> str:
    if steps is None:
        return (
            "Nothing was played; the record verifies." if held else "Nothing was played; see above what does not hold."
        )
    return "Every expectation held." if held else "Not every expectation held; see FAILED above."


def _budgets(folder: pathlib.Path) -> int:
    from llmgov_cli import get

    return get.run("budgets", folder, "", sys.stdout)


def _audit(folder: pathlib.Path) -> int:
    from llmgov_cli import audit

    return audit.run_verify(sys.stdout, state=folder)


_TABLES: tuple[tuple[str, Callable[[pathlib.Path], int]], ...] = (
    ("get budgets", _budgets),
    ("audit verify", _audit),
)


def _say_where(
    ports: Mapping[str, int], metrics: Mapping[str, str], explicit: pathlib.Path | None, trial: str | None
) -> None:
    _say("")
    for workload, port in ports.items():
        _say(f"Applications of {workload} find their providers here; paste this into a shell:")
        variables = players.environment(port)
        _say("".join(f"  export {name}={value}\n" for name, value in variables.items() if "PROXY" not in name.upper()))
    if trial is not None:
        _say(f"Or send a request without any SDK:\n  {trial}\n")
    for workload, address in metrics.items():
        _say(f"Metrics of {workload}: {address}")
    _say(f"Look with {', '.join(looking(explicit))}.")
    _say("Edit the YAML: a saved file is enforced at once. Ctrl-C ends.")


def looking(explicit: pathlib.Path | None) -> list[str]:
    """The commands that look at what is served, as they must be typed."""
    state_option = "" if explicit is None else f" --state {shlex.quote(str(explicit))}"
    return [f"`llmgov {what}{state_option}`" for what in ("get budgets", "get violations", "spend", "audit show")]


async def _serve(serving: "Serving", seen: watch.Signature) -> None:
    """Until SIGINT or SIGTERM: follow the folder, approvals and the audit."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(watch.watch(serving.place, seen, lambda: _reload(serving))),
            tasks.create_task(serving.follow_approvals()),
            tasks.create_task(serving.keep_signing()),
        ]
        await stopped.wait()
        _say("\nEnding: requests under way may finish")
        for task in running:
            task.cancel()


async def _reload(serving: "Serving") -> None:
    rejected = await serving.reload()
    if rejected:
        _say("Not in force, the last good configuration stays:\n  " + "\n  ".join(rejected))
    else:
        _say(f"In force since {datetime.datetime.now(datetime.UTC):%H:%M:%S.%f}"[:-3] + "Z: the folder as saved")
        _warn_all(serving)


def _say(text: str) -> None:
    print(text, flush=True)


def _warn_all(serving: "Serving") -> None:
    for sentence in serving.warnings:
        _warn(sentence)


def _warn(text: str) -> None:
    print(f"llmgov: {text}", file=sys.stderr, flush=True)
