"""Namespaces that exist, and which of them a resource means by name or by label."""

import dataclasses
from collections.abc import Iterator, Mapping

from llmgov import problems
from llmgov.compiler import codes, inputs
from llmgov.policy import match
from llmgov.resources import selection


@dataclasses.dataclass(frozen=True, slots=True)
class Spaces:
    """Namespaces and their labels, by name; `complete` is false where more may exist than are listed."""

    labels: Mapping[str, Mapping[str, str]]
    complete: bool

    def observes(self, namespace: str) -> bool:
        """Whether the namespace only records what would be refused."""
        return self.labels.get(namespace, {}).get(inputs.MODE_LABEL) == "observe"


def gather(given: inputs.ResourceSet) -> Spaces:
    """The namespaces of a set: those that are known to exist and those that its resources live in."""
    labels: dict[str, Mapping[str, str]] = {
        resource.metadata.namespace: {} for resource in given.resources if resource.metadata.namespace
    }
    labels.update((namespace.name, namespace.labels) for namespace in given.namespaces or ())
    return Spaces(dict(sorted(labels.items())), given.namespaces is not None)


def select(wanted: selection.Namespaces | None, known: Spaces) -> tuple[str, ...]:
    """The existing namespaces that are meant, sorted; where not all are known, every named one counts as existing."""
    if wanted is None:
        return ()
    named = {name for name in wanted.names or () if name in known.labels or not known.complete}
    return tuple(sorted(named | frozenset(_labelled(wanted.selector, known))))


def _labelled(selector: selection.LabelSelector | None, known: Spaces) -> Iterator[str]:
    if selector is not None:
        compiled = selector.compiled()
        yield from (name for name, labels in known.labels.items() if match.selects(compiled, dict(labels)))


def unknown(
    wanted: selection.Namespaces | None, known: Spaces, resource: problems.ResourceRef, field: str
) -> Iterator[problems.Problem]:
    """A warning for every named namespace that does not exist."""
    if wanted is None or not known.complete:
        return
    for index, name in enumerate(wanted.names or ()):
        if name not in known.labels:
            yield codes.UNKNOWN_NAMESPACE.at(resource, f"{field}.names[{index}]", f"there is no namespace {name}")
