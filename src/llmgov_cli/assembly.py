"""Manifests of a folder as the compiler's input: resources, namespaces with their labels, which Secrets there are."""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

from llmgov import compiler, problems, snapshot
from llmgov_cli import manifests
from llmgov_cli.manifests import Declared, Manifest

CLUSTER = "local"
"""The cluster that accounts of a folder belong to."""

ROOT_NAMESPACE = "llm-governance"
"""The namespace that the system is installed in unless somebody says otherwise."""


def resource_set(
    documents: Iterable[Manifest],
    declared: Iterable[Declared],
    workload_namespaces: Iterable[str] = (),
    *,
    secrets_known: bool,
    root_namespace: str = ROOT_NAMESPACE,
) -> compiler.ResourceSet:
    """The compiler's input from what `manifests.load` and `manifests.parse` gave.

    `workload_namespaces` exist whether a file says so or not. `secrets_known` says that a Secret that is not among the
    files does not exist; a folder that is only checked cannot know.
    """
    given = list(documents)
    labels: dict[str, dict[str, str]] = {name: {} for name in workload_namespaces}
    labels.update(_namespaces(given))
    return compiler.ResourceSet(
        cluster=CLUSTER,
        root_namespace=root_namespace,
        resources=tuple(each.resource for each in declared),
        namespaces=tuple(compiler.Namespace(name, found) for name, found in sorted(labels.items())),
        secrets=tuple(_secrets(given)) if secrets_known else None,
    )


def _namespaces(documents: Iterable[Manifest]) -> Iterator[tuple[str, dict[str, str]]]:
    for manifest in documents:
        if manifest.kind == "Namespace":
            metadata = _mapping(manifest.raw.get("metadata"))
            labels = _mapping(metadata.get("labels"))
            yield str(metadata.get("name", "")), {key: str(value) for key, value in labels.items()}


def _secrets(documents: Iterable[Manifest]) -> Iterator[compiler.SecretFacts]:
    for manifest in documents:
        if manifest.kind == "Secret":
            raw = manifest.raw
            metadata = _mapping(raw.get("metadata"))
            yield compiler.SecretFacts(
                namespace=str(metadata.get("namespace", "")),
                name=str(metadata.get("name", "")),
                type=str(raw.get("type", "Opaque")),
                keys=frozenset(_mapping(raw.get("data"))) | frozenset(_mapping(raw.get("stringData"))),
            )


def _mapping(value: object) -> dict[str, object]:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


@dataclasses.dataclass(frozen=True, slots=True)
class Offline:
    """Files compiled where neither the cluster nor its Secrets can be seen."""

    compiled: compiler.Compiled
    findings: tuple[manifests.Finding, ...]

    @property
    def errors(self) -> tuple[manifests.Finding, ...]:
        """The findings because of which it would not be put in force."""
        return tuple(each for each in self.findings if each.problem.severity is problems.Severity.ERROR)


def compile_files(
    paths: Iterable[pathlib.Path], prices: snapshot.PricePart, workload_namespaces: Iterable[str] = ()
) -> Offline:
    """Read, parse and compile files and folders."""
    found, unreadable = manifests.load(paths)
    declared, wrong = manifests.parse(found)
    given = resource_set(found, declared, workload_namespaces, secrets_known=False)
    compiled = compiler.compile(given, prices)
    return Offline(compiled, (*unreadable, *wrong, *located(declared, compiled.problems)))


def located(declared: Iterable[Declared], several: Iterable[problems.Problem]) -> Iterator[manifests.Finding]:
    """The compiler's problems, each at its place in its resource's file; of two of one name, the second is blamed."""
    by_reference = {each.resource.ref: each.manifest for each in declared}
    for problem in several:
        if problem.resource in by_reference:
            yield manifests.located(by_reference[problem.resource], problem)
