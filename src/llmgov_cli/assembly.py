"""Manifests of a folder as the compiler's input: resources, namespaces with their labels, which Secrets there are."""

from collections.abc import Iterable, Iterator

from llmgov import compiler
from llmgov_cli.manifests import Declared, Manifest

CLUSTER = "local"
"""The cluster that accounts of a folder belong to."""

ROOT_NAMESPACE = "llm-governance"
"""The namespace that the system is installed in unless somebody says otherwise."""


def resource_set(
    manifests: Iterable[Manifest],
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
    documents = list(manifests)
    labels: dict[str, dict[str, str]] = {name: {} for name in workload_namespaces}
    labels.update(_namespaces(documents))
    return compiler.ResourceSet(
        cluster=CLUSTER,
        root_namespace=root_namespace,
        resources=tuple(each.resource for each in declared),
        namespaces=tuple(compiler.Namespace(name, found) for name, found in sorted(labels.items())),
        secrets=tuple(_secrets(documents)) if secrets_known else None,
    )


def _namespaces(manifests: Iterable[Manifest]) -> Iterator[tuple[str, dict[str, str]]]:
    for manifest in manifests:
        if manifest.kind == "Namespace":
            metadata = _mapping(manifest.raw.get("metadata"))
            labels = _mapping(metadata.get("labels"))
            yield str(metadata.get("name", "")), {key: str(value) for key, value in labels.items()}


def _secrets(manifests: Iterable[Manifest]) -> Iterator[compiler.SecretFacts]:
    for manifest in manifests:
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
