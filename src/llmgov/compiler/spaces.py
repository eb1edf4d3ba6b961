"""Namespaces that exist, and which of them a resource means by name or by label."""

import dataclasses
from collections.abc import Iterator, Mapping

from llmgov import problems, resources
from llmgov.compiler import codes, inputs
from llmgov.policy import match
from llmgov.resources import selection

_NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server gives every namespace this label with its own name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Spaces:
    """Namespaces and their labels, by name; `complete` is false where more may exist than are listed."""

    labels: Mapping[str, Mapping[str, str]]
    complete: bool

    def observes(self, namespace: str) -> bool:
        """Whether the namespace only records what would be refused."""
        return self.labels.get(namespace, {}).get(inputs.MODE_LABEL) == "observe"


def gather(given: inputs.ResourceSet) -> Spaces:
    """The namespaces of a set: those known to exist, those that resources live in, and, of an open set, those named."""
    labels: dict[str, Mapping[str, str]] = {
        resource.metadata.namespace: {} for resource in given.resources if resource.metadata.namespace
    }
    if not given.every_namespace:
        labels.update((name, {}) for resource in given.resources for name in named(resource))
    labels.update((namespace.name, namespace.labels) for namespace in given.namespaces)
    return Spaces({name: {_NAME_LABEL: name, **labels[name]} for name in sorted(labels)}, given.every_namespace)


def named(resource: resources.Resource) -> Iterator[str]:
    """The namespaces that a resource names, its own left out."""
    match resource:
        case resources.Team():
            yield from _names(resource.spec.namespaces)
        case resources.ProviderCredential():
            yield from _names(resource.spec.allowed_namespaces)
        case resources.LLMPolicy() if resource.spec.applies_to is not None:
            yield from _names(resource.spec.applies_to.namespaces)
        case resources.Budget():
            target = resource.spec.target
            yield from filter(None, (target.namespace, target.workload and target.workload.namespace))
        case _:
            return


def _names(wanted: selection.Namespaces | None) -> tuple[str, ...]:
    return () if wanted is None else wanted.names or ()


def select(wanted: selection.Namespaces | None, known: Spaces) -> tuple[str, ...]:
    """The existing namespaces that are meant, sorted."""
    if wanted is None:
        return ()
    return tuple(
        sorted({name for name in _names(wanted) if name in known.labels} | {*_labelled(wanted.selector, known)})
    )


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
    for index, name in enumerate(_names(wanted)):
        if name not in known.labels:
            yield codes.UNKNOWN_NAMESPACE.at(resource, f"{field}.names[{index}]", f"there is no namespace {name}")
