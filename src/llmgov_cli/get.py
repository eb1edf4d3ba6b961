"""`llmgov get`: resources with their status as kubectl prints them, and the lists that are no resources (`lists`)."""

import sys
from collections.abc import Sequence
from typing import Any, TextIO

import msgspec

from llmgov import resources
from llmgov.ledger.store import Reader
from llmgov.resources import base
from llmgov.resources.base import Scope
from llmgov.statuses import kinds
from llmgov_cli import errors, lists, observe, past, show, sources, tables, waiting
from llmgov_cli.local import state

_ALIASES = {
    "policies": "llmpolicies",
    "credentials": "providercredentials",
    "templates": "policytemplates",
    "roles": "llmroles",
    "settings": "governancesettings",
}


def run(
    what: str,
    where: sources.Where,
    output: str,
    out: TextIO,
    *,
    name: str | None = None,
    wanted: lists.Filter = lists.ALL,
) -> int:
    """Print `what` to `out`, or the one called `name`; what is wrong with the configuration goes to standard error.

    Returns 1 where there is no resource of that name.

    Raises:
        CommandError: no such list, no ledger, no such format, or a filter that `what` does not take.
    """
    tables.check_format(output)
    _check_filter(what, name, wanted)
    if what in lists.LISTS:
        _print_list(what, sources.find(where), output, wanted, out)
        return 0
    kind = _kind(what)
    source = sources.find(where)
    _check_kind(kind, source)
    serving, documents = sources.read(source, lambda ledger: _documents(ledger, source, kind))
    found = [each for each in documents if name in (None, _name(each), _full_name(each))]
    out.write(_table(found, kind, output) if output in ("", "wide") else _dump(found, output))
    _tell(kind, serving)
    if name is not None and not found:
        print(f"llmgov: there is no {kind.__name__} {name}", file=sys.stderr)
    return 1 if name is not None and not found else 0


def _check_filter(what: str, name: str | None, wanted: lists.Filter) -> None:
    if sentence := wanted.refused(what):
        raise errors.CommandError(sentence)
    if what in lists.LISTS and name is not None:
        raise errors.CommandError(f"get {what} {name}: {what} have no names")


def _tell(kind: type[resources.Resource], serving: state.Run) -> None:
    """What the table cannot say: that policies limit money, too, and that something is not in force."""
    limiting = sorted({each.source for each in serving.facts.accounts if not each.source.startswith("Budget/")})
    if kind is resources.Budget and limiting:
        several = ", ".join(limiting)
        print(f"llmgov: money is limited by policies, too ({several}); see `llmgov get accounts`", file=sys.stderr)
    for sentence in serving.rejected:
        print(f"llmgov: not in force: {sentence}", file=sys.stderr)


def _name(document: dict[str, Any]) -> str:
    return str(document["metadata"]["name"])


def _full_name(document: dict[str, Any]) -> str:
    return "/".join(filter(None, _order(document)))


def _truthful(source: sources.Source, run_: state.Run) -> state.Run:
    """What is in force, corrected where whoever served it is gone: nobody enforces anything then."""
    ended = source.ended(run_)
    if ended is None:
        return run_
    print(f"llmgov: {ended}", file=sys.stderr)
    return msgspec.structs.replace(run_, enforcing={})


def _check_kind(kind: type[resources.Resource], source: sources.Source) -> None:
    if kind not in source.kinds:
        known = ", ".join(each.naming.plural for each in source.kinds)
        raise errors.CommandError(
            f"get {kind.naming.plural}: a database has {known} and {', '.join(lists.LISTS)} only; other resources are"
            f" where they were applied: `kubectl get {kind.naming.plural}.{base.GROUP} -A`"
        )


def _kind(what: str) -> type[resources.Resource]:
    wanted = _ALIASES.get(what.lower(), what.lower())
    for name, kind in resources.KINDS.items():
        naming = kind.naming
        if wanted in (name.lower(), naming.plural, naming.singular, *naming.short):
            return kind
    known = [*(kind.naming.plural for kind in resources.KINDS.values()), *_ALIASES, *lists.LISTS]
    raise errors.CommandError(f"get {what}: use one of {', '.join(known)}")


async def _documents(
    ledger: sources.Ledger[Reader], source: sources.Source, kind: type[resources.Resource]
) -> tuple[state.Run, list[dict[str, Any]]]:
    """What is in force, and the resources of a kind with their statuses."""
    serving = _truthful(source, await source.serving(ledger))
    if kind is resources.Budget:
        await waiting.tell(ledger.rows)
    observed = await observe.observe(ledger.rows, serving, ledger.clock())
    documents = []
    for raw in serving.resources:
        if resources.KINDS.get(raw["kind"]) is kind:
            parsed = resources.parse(raw)
            if isinstance(parsed, resources.Resource):
                documents.append(raw | {"spec": _spec(parsed), "status": kinds.status(parsed, observed)})
    return serving, sorted(documents, key=_order)


def _spec(resource: resources.Resource) -> dict[str, Any]:
    """The spec with its defaults, as an API server would keep it."""
    whole = resource.model_dump(mode="json", by_alias=True, exclude_none=True, include={"spec"})
    return dict(whole["spec"])


def _order(document: dict[str, Any]) -> tuple[str, str]:
    return document["metadata"].get("namespace", ""), document["metadata"]["name"]


def _table(documents: Sequence[dict[str, Any]], kind: type[resources.Resource], output: str) -> str:
    """The table; a column of times is left out where no document has one, as files say no time of creation."""
    namespaced = kind.naming.scope is Scope.NAMESPACED
    moment = observe.now()
    columns = [
        column
        for column in show.columns(kind, wide=output == "wide")
        if column.type != "date" or any(show.cell(document, column, moment) for document in documents)
    ]
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


async def _listed(what: str, look: lists.Look) -> lists.Rows:
    """The list's rows; what they cannot say is said beside them: why none is lent from, or was in force at a time."""
    if what == "accounts":
        await waiting.tell(look.rows)
    rows = await lists.LISTS[what].gather(look)
    if look.wanted.at is not None and not rows:
        print(f"llmgov: {await past.absent(look.rows, look.wanted.at, look.wanted.namespace)}", file=sys.stderr)
    return rows


def _print_list(what: str, source: sources.Source, output: str, wanted: lists.Filter, out: TextIO) -> None:
    listing = lists.LISTS[what]
    headings = (*listing.headings, *listing.wide)
    rows = sources.read(source, lambda ledger: _listed(what, lists.Look(ledger, source, wanted, bool(output))))
    if output in ("", "wide"):
        shown = len(headings if output else listing.headings)
        out.write(tables.render(headings[:shown], [row[:shown] for row in rows]) if rows else f"{listing.none}\n")
    else:
        out.write(tables.dump([tables.record(headings, row) for row in rows], output))
