"""Manifests of a folder as the compiler's input: resources, namespaces with their labels, which Secrets there are."""

import dataclasses
import pathlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from llmgov import compiler, problems, snapshot
from llmgov.compiler import codes
from llmgov_cli import absences, echoes, manifests
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
class Checked:
    """Files, compiled, and everything that is wrong with them, in the order of files and lines."""

    compiled: compiler.Compiled
    documents: tuple[Manifest, ...]
    declared: tuple[Declared, ...]
    findings: tuple[manifests.Finding, ...]

    @property
    def errors(self) -> tuple[manifests.Finding, ...]:
        """The findings because of which it would not be put in force."""
        return tuple(each for each in self.findings if each.problem.severity is problems.Severity.ERROR)

    @property
    def warnings(self) -> tuple[manifests.Finding, ...]:
        """The findings in spite of which it would be."""
        return tuple(each for each in self.findings if each.problem.severity is problems.Severity.WARNING)


def compile_files(
    paths: Iterable[pathlib.Path],
    prices: snapshot.PricePart,
    workload_namespaces: Iterable[str] = (),
    *,
    complete: bool = False,
    previous: compiler.Compiled | None = None,
) -> Checked:
    """Read, parse and compile files and folders.

    `complete` says that nothing exists beside what the files and `workload_namespaces` say, as in local mode. Otherwise
    files that hold a Secret are taken to hold all that they refer to, and files that name a namespace to name all;
    files that hold none say nothing about them. `previous` makes it quicker and changes nothing else.
    """
    places, workloads = list(paths), tuple(workload_namespaces)
    found, unreadable = manifests.load(places)
    declared, wrong = manifests.parse(found)
    secrets_known = complete or any(each.kind == "Secret" for each in found)
    given = resource_set(found, declared, workloads, secrets_known=secrets_known)
    compiled = compiler.compile(given, prices, previous)
    faults = [*unreadable, *wrong]
    findings = {
        *faults,
        *echoes.without(located(declared, compiled.problems), faults, manifests.whatever_is_in),
        *absences.nothing(places, found, faults),
        *absences.namespaces(found, declared, workloads, root=ROOT_NAMESPACE, complete=complete),
    }
    return Checked(compiled, tuple(found), tuple(declared), tuple(sorted(findings, key=_place)))


def located(declared: Iterable[Declared], several: Iterable[problems.Problem]) -> Iterator[manifests.Finding]:
    """The compiler's problems, each at its place in its resource's file."""
    places: defaultdict[problems.ResourceRef, list[Manifest]] = defaultdict(list)
    for each in declared:
        places[each.resource.ref].append(each.manifest)
    for problem in several:
        yield manifests.located(_manifest(places[problem.resource], problem), problem)


def _manifest(candidates: Sequence[Manifest], problem: problems.Problem) -> Manifest:
    """Of two manifests of one resource the first is compiled, and the last is the one too many."""
    return candidates[-1 if problem.code == codes.DUPLICATE.name else 0]


def _place(finding: manifests.Finding) -> tuple[str, int, str, str]:
    return str(finding.file), finding.line, finding.problem.field, finding.problem.code
