"""Which workloads are served, and on which ports: what `--as` and a traffic file say. Pure."""

from collections.abc import Iterable

from llmgov_cli import errors, traffic, workload

DEFAULT = "default/default"
DEFAULT_PORT = 4010


def ports(given: Iterable[str], steps: traffic.Traffic | None, *, once: bool) -> dict[str, int]:
    """The port of each workload, 0 for any free one, from arguments `namespace/serviceAccount=port`.

    Raises:
        CommandError: an argument is none, or a workload is given twice.
    """
    made: dict[str, int] = {}
    for text in given:
        name, port = _argument(text)
        if name in made:
            raise errors.CommandError(f"--as {text}: {name} is given twice; a workload has one port")
        made[name] = port
    made = made or {DEFAULT: 0 if once else DEFAULT_PORT}
    for name in steps.workloads() if steps else ():
        made.setdefault(name, 0)
    return made


def _argument(text: str) -> tuple[str, int]:
    name, _, port = text.partition("=")
    if not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise errors.CommandError(f"--as {text}: write NAMESPACE/SERVICEACCOUNT=PORT, such as {DEFAULT}=4010")
    if (fault := workload.fault(name)) is not None:
        raise errors.CommandError(f"--as {text}: {fault}")
    return name, int(port)
