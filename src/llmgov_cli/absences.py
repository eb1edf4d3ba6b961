"""What files do not say and a cluster would have said: that nothing is there, that a namespace does not exist. Pure."""

import pathlib
from collections.abc import Iterable, Iterator, Sequence

from llmgov.compiler import codes, spaces
from llmgov.problems import Problem, ResourceRef, Severity
from llmgov.resources import base
from llmgov_cli import manifests
from llmgov_cli.manifests import Declared, Finding, Manifest

NO_RESOURCES = "NoResources"
EMPTIED = "Emptied"
CODES = (NO_RESOURCES, EMPTIED)
"""The codes of findings made here and nowhere else."""

_ALWAYS = "default"
"""The namespace that every cluster has."""


def nothing(places: Sequence[pathlib.Path], found: Iterable[Manifest], faults: Sequence[Finding]) -> Iterator[Finding]:
    """A warning where files hold nothing for us, and nothing that may have been meant for us."""
    if places and not faults and not any(each.ours for each in found):
        message = "holds no resource, so nothing is governed"
        remedy = f"add one with apiVersion: {base.API_VERSION}, or correct the path"
        problem = Problem(NO_RESOURCES, ResourceRef("", ""), "", message, remedy, Severity.WARNING)
        yield Finding(places[0], 0 if places[0].is_dir() else 1, problem)


def emptied(before: Iterable[pathlib.Path], found: Iterable[Manifest], faults: Iterable[Finding]) -> Iterator[Finding]:
    """An error for each file of `before`, those that held documents, that is still there and holds nothing any more.

    Editors and scripts empty a file for a moment before they write it; what it holds must not cease to govern then.
    Who means it deletes the file.
    """
    still = {each.file for each in found} | {each.file for each in faults}
    for file in sorted(set(before) - still):
        if file.exists():
            message = "is empty now, and held resources that are in force"
            problem = Problem(EMPTIED, ResourceRef("", ""), "", message, "save it whole, or delete it if that is meant")
            yield Finding(file, 1, problem)


def namespaces(
    found: Iterable[Manifest], declared: Sequence[Declared], elsewhere: Iterable[str], *, root: str, complete: bool
) -> Iterator[Finding]:
    """A warning at the first resource of each namespace that nothing else speaks of: it governs nobody.

    `elsewhere` are namespaces that workloads live in, `root` is the root namespace. Unless the files are `complete`,
    they must name a namespace to be taken at their word. The compiler cannot tell any of this: an API server takes no
    resource in a namespace that does not exist.
    """
    always = {root, _ALWAYS}
    told = {*named(found, declared), *elsewhere}
    if not (complete or told - always):
        return
    seen = told | always
    for each in declared:
        namespace = each.resource.metadata.namespace
        if namespace and namespace not in seen:
            seen.add(namespace)
            message = f"there is no namespace {namespace}, and no workload in it"
            problem = codes.UNKNOWN_NAMESPACE.at(each.resource.ref, "metadata.namespace", message)
            yield manifests.located(each.manifest, problem)


def workloads(declared: Sequence[Declared], found: Iterable[Manifest], names: Iterable[str]) -> Iterator[str]:
    """A sentence for each of the namespaces `names`, those of workloads, that no document knows: it may be misspelt."""
    known = {_ALWAYS, *named(found, declared), *(each.resource.metadata.namespace for each in declared)}
    for name in dict.fromkeys(names):
        if name not in known:
            yield (
                f"warning: no document names the namespace {name}, so only what governs every namespace governs its"
                " workloads; add a Namespace, or correct the name"
            )


def named(found: Iterable[Manifest], declared: Iterable[Declared]) -> Iterator[str]:
    """The namespaces that have a document, or that a resource of another namespace names."""
    yield from (manifests.name(each.raw) for each in found if each.kind == "Namespace")
    for each in declared:
        yield from (name for name in spaces.named(each.resource) if name != each.resource.metadata.namespace)
