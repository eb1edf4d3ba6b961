"""A folder of YAML read into a configuration: everything is read again each time, and either all of it counts or none.

A faulty file must not loosen what is in force by being left out, so a folder with an error is not served: the last good
configuration stays, and `Loaded.rejected` says why (docs/decisions/0004).
"""

import dataclasses
import os
import pathlib
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from llmgov import compiler, snapshot
from llmgov_cli import absences, assembly, manifests
from llmgov_cli.local import secrets

MOCK_HOST = "mock-provider"
"""The host of a `baseURL` that means the built-in mock; in a cluster a Service of that name would be it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    """What a folder holds now.

    `mocked` is `compiled` with the mock's address where a provider's host is `mock-provider`: what sidecars get.
    `keys` maps a provider's id to its key, in memory only; `rejected` are sentences with file and line, empty where the
    configuration may be put in force; `warnings` are those about what may be, and is probably not meant. `sources` are
    the files that hold any of it.
    """

    compiled: compiler.Compiled
    mocked: compiler.Compiled
    documents: tuple[dict[str, Any], ...]
    findings: tuple[manifests.Finding, ...]
    keys: Mapping[str, str]
    rejected: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    sources: frozenset[pathlib.Path] = frozenset()


def load(
    folder: pathlib.Path,
    prices: snapshot.PricePart,
    workload_namespaces: Iterable[str],
    mock_port: int,
    previous: Loaded | None = None,
) -> Loaded:
    """Read, parse and compile the folder.

    `previous` is what is in force: it makes this quicker, and none of its files may be empty now.
    """
    workloads = tuple(workload_namespaces)
    before = None if previous is None else previous.compiled
    checked = assembly.compile_files([folder], prices, workloads, complete=True, previous=before)
    keys, unusable = secrets.keys(checked.documents, checked.declared, os.environ)
    sources = frozenset() if previous is None else previous.sources
    wrong = (*unusable, *absences.emptied(sources, checked.documents, checked.findings))
    return Loaded(
        compiled=checked.compiled,
        mocked=with_mock(checked.compiled, mock_port),
        documents=tuple(each.manifest.raw for each in checked.declared),
        findings=(*checked.findings, *wrong),
        keys=keys,
        rejected=tuple(map(str, (*checked.errors, *wrong))),
        warnings=(
            *map(str, checked.warnings),
            *absences.workloads(checked.declared, checked.documents, workloads),
        ),
        sources=frozenset(each.file for each in checked.documents),
    )


def with_mock(compiled: compiler.Compiled, port: int) -> compiler.Compiled:
    """The same configuration with the mock's address where a provider's host is `mock-provider`."""
    organization = msgspec.structs.replace(
        compiled.organization, providers=_mocked(compiled.organization.providers, port)
    )
    namespaces = {
        name: msgspec.structs.replace(part, providers=_mocked(part.providers, port))
        for name, part in compiled.namespaces.items()
    }
    return dataclasses.replace(compiled, organization=organization, namespaces=namespaces)


def _mocked(providers: Iterable[snapshot.Provider], port: int) -> tuple[snapshot.Provider, ...]:
    return tuple(msgspec.structs.replace(each, base_url=_address(each.base_url, port)) for each in providers)


def _address(base_url: str, port: int) -> str:
    parts = urllib.parse.urlsplit(base_url)
    if parts.hostname != MOCK_HOST:
        return base_url
    return parts._replace(scheme="http", netloc=f"127.0.0.1:{port}").geturl()
