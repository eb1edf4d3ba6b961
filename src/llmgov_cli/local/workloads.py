"""Which workloads are served, and on which ports: what `--as` and a traffic file say. Pure."""

from collections.abc import Iterable

import pydantic

from llmgov.resources import scalars
from llmgov_cli import errors, traffic

DEFAULT = "default/default"
DEFAULT_PORT = 4010

_NAMESPACE: pydantic.TypeAdapter[str] = pydantic.TypeAdapter(scalars.Label)
_ACCOUNT: pydantic.TypeAdapter[str] = pydantic.TypeAdapter(scalars.ObjectName)


def ports(given: Iterable[str], steps: traffic.Traffic | None, *, once: bool) -> dict[str, int]:
    """The port of each workload, 0 for any free one, from arguments `namespace/serviceAccount=port`.

    Raises:
        CommandError: an argument or a workload of the steps is none, or a workload is given twice.
    """
    made: dict[str, int] = {}
    for text in given:
        name, port = _argument(text)
        if name in made:
            raise errors.CommandError(f"--as {text}: {name} is given twice; a workload has one port")
        made[name] = port
    made = made or {DEFAULT: 0 if once else DEFAULT_PORT}
    for name in steps.workloads() if steps else ():
        check(name, "traffic.yaml: workload")
        made.setdefault(name, 0)
    return made


def _argument(text: str) -> tuple[str, int]:
    name, _, port = text.partition("=")
    if not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise errors.CommandError(f"--as {text}: write NAMESPACE/SERVICEACCOUNT=PORT, such as {DEFAULT}=4010")
    check(name, "--as")
    return name, int(port)


def check(name: str, where: str) -> None:
    """Whether `name` can be a workload's `namespace/serviceAccount`; `where` it is written begins the message.

    Raises:
        CommandError: it cannot.
    """
    namespace, slash, account = name.partition("/")
    if not slash:
        raise errors.CommandError(f"{where} {name}: write NAMESPACE/SERVICEACCOUNT, such as {DEFAULT}")
    for what, kind, part in (("namespace", _NAMESPACE, namespace), ("ServiceAccount", _ACCOUNT, account)):
        try:
            kind.validate_python(part)
        except pydantic.ValidationError as error:
            context = error.errors()[0]["ctx"]
            raise errors.CommandError(
                f"{where} {name}: the {what} {context['message']}; {context['remedy']}"
            ) from error
