"""`llmgov get`: resources with their status as kubectl prints them, and the lists that are no resources."""

import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import msgspec

from llmgov import instants, resources
from llmgov.instants import Instant
from llmgov.ledger import store
from llmgov.resources.base import Scope
from llmgov.statuses import kinds
from llmgov_cli import errors, observe, show, tables
from llmgov_cli.local import lock, state

_ALIASES = {
    "policies": "llmpolicies",
    "credentials": "providercredentials",
    "templates": "policytemplates",
    "roles": "llmroles",
    "settings": "governancesettings",
}


def run(what: str, explicit: pathlib.Path | None, output: str, out: TextIO) -> int:
    """Print `what` to `out`; what is wrong with the configuration goes to standard error.

    Raises:
        CommandError: no such list, no state folder, or no such format.
    """
    tables.check_format(output)
    if what in _LISTS:
        _print_list(what, state.find(explicit), output, out)
        return 0
    kind = _kind(what)
    folder = state.find(explicit)
    serving = _truthful(folder, state.read_run(folder))
    documents = observe.read(folder, lambda reader: _documents(reader, serving, kind))
    out.write(_table(documents, kind, output) if output in ("", "wide") else _dump(documents, output))
    for sentence in serving.rejected:
        print(f"llmgov: not in force: {sentence}", file=sys.stderr)
    return 0


def _truthful(folder: pathlib.Path, run_: state.Run) -> state.Run:
    """What the serving process said of itself, corrected where it is gone: nobody enforces anything then."""
    if lock.served(folder):
        return run_
    print(f"llmgov: nobody serves {folder} now (process {run_.pid} ended)", file=sys.stderr)
    return msgspec.structs.replace(run_, enforcing={})


def _kind(what: str) -> type[resources.Resource]:
    wanted = _ALIASES.get(what.lower(), what.lower())
    for name, kind in resources.KINDS.items():
        naming = kind.naming
        if wanted in (name.lower(), naming.plural, naming.singular, *naming.short):
            return kind
    known = [*(kind.naming.plural for kind in resources.KINDS.values()), *_ALIASES, *_LISTS]
    raise errors.CommandError(f"get {what}: use one of {', '.join(known)}")


async def _documents(reader: store.Reader, serving: state.Run, kind: type[resources.Resource]) -> list[dict[str, Any]]:
    observed = await observe.observe(reader, serving, observe.now())
    documents = []
    for raw in serving.resources:
        if resources.KINDS.get(raw["kind"]) is kind:
            parsed = resources.parse(raw)
            if isinstance(parsed, resources.Resource):
                documents.append(raw | {"spec": _spec(parsed), "status": kinds.status(parsed, observed)})
    return sorted(documents, key=_order)


def _spec(resource: resources.Resource) -> dict[str, Any]:
    """The spec with its defaults, as an API server would keep it."""
    whole = resource.model_dump(mode="json", by_alias=True, exclude_none=True, include={"spec"})
    return dict(whole["spec"])


def _order(document: dict[str, Any]) -> tuple[str, str]:
    return document["metadata"].get("namespace", ""), document["metadata"]["name"]


def _table(documents: Sequence[dict[str, Any]], kind: type[resources.Resource], output: str) -> str:
    columns = show.columns(kind, wide=output == "wide")
    namespaced = kind.naming.scope is Scope.NAMESPACED
    moment = observe.now()
    rows = [
        [
            *([document["metadata"]["namespace"]] if namespaced else []),
            document["metadata"]["name"],
            *(show.cell(document, column, moment) for column in columns),
        ]
        for document in documents
    ]
    headings = [*(["Namespace"] if namespaced else []), "Name", *(column.name for column in columns)]
    return tables.render(headings, rows) if rows else "No resources found\n"


def _dump(documents: Sequence[dict[str, Any]], output: str) -> str:
    return tables.dump({"apiVersion": "v1", "kind": "List", "items": list(documents)}, output)


def _print_list(what: str, folder: pathlib.Path, output: str, out: TextIO) -> None:
    headings, wide, gather = _LISTS[what]
    rows = observe.read(folder, gather)
    if output in ("", "wide"):
        shown = len(headings) + (len(wide) if output else 0)
        cut = [row[:shown] for row in rows]
        out.write(tables.render((*headings, *wide)[:shown], cut) if rows else f"No {what}\n")
    else:
        out.write(tables.dump([tables.record((*headings, *wide), row) for row in rows], output))


async def _violations(reader: store.Reader) -> list[list[tables.Cell]]:
    found = await reader.violations(0, observe.ALL_TIME)
    return [
        [
            instants.to_rfc3339(each.at),
            each.policy,
            each.action.value + (" (dry run)" if each.dry_run else ""),
            each.reason,
            f"{each.namespace}/{each.service_account}",
            each.user or "",
            each.model,
            each.count,
            each.request_id,
            each.path or "",
            each.message,
        ]
        for each in found
    ]


async def _outbox(reader: store.Reader) -> list[list[str]]:
    return [
        [instants.to_rfc3339(each.at), each.audience, each.about, each.fact, each.message, _moment(each.delivered)]
        for each in await reader.outbox()
    ]


async def _snapshots(reader: store.Reader) -> list[list[tables.Cell]]:
    return [
        [part.part, part.version, instants.to_rfc3339(part.since), len(part.document)]
        for part in await reader.parts(observe.now())
    ]


def _moment(instant: Instant | None) -> str:
    return "" if instant is None else instants.to_rfc3339(instant)


_Gather = Callable[[store.Reader], Any]
_LISTS: dict[str, tuple[Sequence[str], Sequence[str], _Gather]] = {
    "violations": (
        ("Time", "Policy", "Action", "Reason", "Workload", "User", "Model", "Count"),
        ("Request", "Path", "Message"),
        _violations,
    ),
    "outbox": (("Time", "Audience", "About", "Fact", "Message", "Delivered"), (), _outbox),
    "snapshots": (("Part", "Version", "Since", "Bytes"), (), _snapshots),
}
"""Each list's headings, those that only `-o wide` and documents have, and what gathers its rows."""
