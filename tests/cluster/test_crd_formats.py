"""Formats and keys of maps on the real API server, by the tables that Python and a CEL engine are tested with.

A definition made for this has one field for each line of the tables, so that two requests ask for all of them.
"""

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

from tests.cluster.cluster import Cluster, KubectlError
from tests.support.resource_cases import REFUSED, REFUSED_IN_PYTHON_ALONE, TAKEN

pytestmark = pytest.mark.cluster_versions

_TABLES = {"taken": TAKEN, "refused": REFUSED, "unseen": REFUSED_IN_PYTHON_ALONE}
_GROUP = "formats.example.com"


@pytest.fixture(scope="module")
def kind(cluster: Cluster) -> Iterator[str]:
    """The name of a kind whose fields are the tables' lines."""
    name = f"Formats{secrets.token_hex(4)}"
    plural = name.lower()
    cluster.apply(_definition(name, plural))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{plural}.{_GROUP}")
    yield name
    cluster.kubectl("delete", "crd", f"{plural}.{_GROUP}")


def _definition(name: str, plural: str) -> dict[str, Any]:
    fields = {
        f"{table}{number}": pydantic.TypeAdapter(annotation).json_schema()
        for table, lines in _TABLES.items()
        for number, (_, annotation, _) in enumerate(lines)
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": fields}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{_GROUP}"},
        "spec": {
            "group": _GROUP,
            "names": {"kind": name, "plural": plural},
            "scope": "Cluster",
            "versions": [version],
        },
    }


def _create(cluster: Cluster, kind: str, fields: dict[str, str]) -> str:
    """Create an object in a dry run; what the API server refuses it for, empty where it takes it."""
    document = {"apiVersion": f"{_GROUP}/v1", "kind": kind, "metadata": {"name": "any"}, **fields}
    command = ["create", "--dry-run=server", "--validate=strict", "--filename=-"]
    try:
        cluster.kubectl(*command, stdin=json.dumps(document))
    except KubectlError as error:
        return str(error)
    return ""


def test_what_python_takes_is_taken(cluster: Cluster, kind: str) -> None:
    assert _create(cluster, kind, {f"taken{number}": text for number, (_, _, text) in enumerate(TAKEN)}) == ""


def test_what_python_refuses_is_refused(cluster: Cluster, kind: str) -> None:
    """Lengths apart from the rest: where one is wrong, the API server asks no rule."""
    long, others = {}, {}
    for number, (_, annotation, text) in enumerate(REFUSED):
        (long if _is_long(annotation, text) else others)[f"refused{number}"] = text
    assert set(re.findall(r"\brefused\d+", _create(cluster, kind, long))) == long.keys()
    assert set(re.findall(r"\brefused\d+", _create(cluster, kind, others))) == others.keys()


def _is_long(annotation: Any, text: str) -> bool:
    return len(text) > int(pydantic.TypeAdapter(annotation).json_schema()["maxLength"])


def test_what_cel_cannot_say_is_taken_but_for_what_it_fails_on(cluster: Cluster, kind: str) -> None:
    fields = {f"unseen{number}": text for number, (_, _, text) in enumerate(REFUSED_IN_PYTHON_ALONE)}
    sentences = [sentence for sentence, _, _ in REFUSED_IN_PYTHON_ALONE]
    expected = {f"unseen{number}" for number, sentence in enumerate(sentences) if "regular expression" in sentence}
    assert set(re.findall(r"\bunseen\d+", _create(cluster, kind, fields))) == expected
