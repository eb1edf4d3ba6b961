"""Objects in, a configuration out: parsed, compiled and ready to be published. Pure.

What did not change since the last time is not done again, so that one changed policy among thousands is compiled in
milliseconds; the result depends on the objects alone.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from llmgov import compiler, problems, resources, snapshot
from llmgov.statuses import holding
from llmgov_operator import kinds
from llmgov_operator.cluster import Body, place


class Known(Protocol):
    """What is known of the cluster: a `Cluster`, or its `Still`."""

    def bodies(self, kind: str) -> list[Body]:
        """The objects of a kind, by namespace and name."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Configured:
    """A configuration. `parts` are those to publish, by name; of these `held` lack a faulty resource and must not
    replace good ones; where `whole_held` is true none must (docs/decisions/0004).

    `parsed` are the resources that could be read and their objects, `unread` those that could not. `kill_switch` is
    what GovernanceSettings says of it, `None` where these are faulty themselves. `root` is the namespace that may
    govern the organization.
    """

    compiled: compiler.Compiled
    parts: Mapping[str, snapshot.Part]
    held: frozenset[str]
    whole_held: bool
    problems: tuple[problems.Problem, ...]
    parsed: Sequence[tuple[resources.Resource, Body]]
    unread: Sequence[Body]
    kill_switch: bool | None
    root: str


class Configurator:
    """Makes configurations of a cluster; `root` is the namespace that may govern the organization."""

    def __init__(self, cluster_id: str, root: str, prices: snapshot.PricePart) -> None:
        self._cluster_id = cluster_id
        self._root = root
        self._prices = prices
        self._parsed: dict[str, tuple[Body, resources.Resource | list[problems.Problem]]] = {}
        self._compiled: compiler.Compiled | None = None

    def configure(self, known: Known) -> Configured:
        """The configuration that the objects say."""
        self._parsed = {body["metadata"]["uid"]: self._parse(body) for body in _ours(known)}
        parsed = [(made, body) for body, made in self._parsed.values() if isinstance(made, resources.Resource)]
        wrong = [(made, body) for body, made in self._parsed.values() if not isinstance(made, resources.Resource)]
        given = compiler.ResourceSet(
            cluster=self._cluster_id,
            root_namespace=self._root,
            resources=tuple(resource for resource, _ in parsed),
            namespaces=tuple(_namespaces(known)),
            every_namespace=True,
        )
        compiled = self._compiled = compiler.compile(given, self._prices, self._compiled)
        unread = tuple(problem for found, _ in wrong for problem in found)
        holders = compiled.held | compiler.holders(unread, self._root)
        return Configured(
            compiled=compiled,
            parts=_parts(compiled),
            held=frozenset(f"{holding.PREFIX}{name}" for name in holders if name != compiler.ORGANIZATION),
            whole_held=compiler.ORGANIZATION in holders,
            problems=(*unread, *compiled.problems),
            parsed=parsed,
            unread=[body for _, body in wrong],
            kill_switch=_kill_switch(compiled, (*unread, *compiled.problems)),
            root=self._root,
        )

    def _parse(self, body: Body) -> tuple[Body, resources.Resource | list[problems.Problem]]:
        old = self._parsed.get(body["metadata"]["uid"])
        if old is None:
            return body, resources.parse(_readable(body))
        before, made = old
        unchanged = before is body or _readable(before) == _readable(body)
        return body, made if unchanged else resources.parse(_readable(body))


def _kill_switch(compiled: compiler.Compiled, found: Sequence[problems.Problem]) -> bool | None:
    settings = resources.GovernanceSettings.__name__
    if any(resource.kind == settings for resource in holding.faulty(found)):
        return None
    return compiled.organization.settings.kill_switch


def _ours(known: Known) -> Iterator[Body]:
    for kind in kinds.OURS:
        yield from known.bodies(kind)


def _readable(body: Body) -> Body:
    """What a resource is read from: without what others write into its metadata, which changes without any meaning."""
    metadata = body["metadata"]
    wanted = ("name", "namespace", "labels", "uid", "generation", "creationTimestamp")
    return {
        "apiVersion": body.get("apiVersion"),
        "kind": body.get("kind"),
        "metadata": {name: metadata[name] for name in wanted if name in metadata},
        "spec": body.get("spec", {}),
    }


def _namespaces(known: Known) -> Iterator[compiler.Namespace]:
    for body in known.bodies(kinds.NAMESPACE.name):
        yield compiler.Namespace(place(body)[1], body["metadata"].get("labels") or {})


def _parts(compiled: compiler.Compiled) -> dict[str, snapshot.Part]:
    named: dict[str, snapshot.Part] = {"organization": compiled.organization, "prices": compiled.prices}
    return named | {f"{holding.PREFIX}{name}": part for name, part in compiled.namespaces.items()}
