"""The snapshot: canonical bytes, versions, and formats that are not served."""

import pathlib

import pytest

from llmgov import snapshot
from llmgov.snapshot import Dimension

PRICE = snapshot.ModelPrice("openai", "gpt-4o", {Dimension.OUTPUT: 2, Dimension.INPUT: 1})
PROVIDER = snapshot.Provider("ns/p", "openai", "https://api.openai.com/v1", {"b": "y", "a": "x"}, (PRICE,))
WHOLE = snapshot.Snapshot(
    snapshot.FORMAT,
    snapshot.OrganizationPart("cluster", providers=(PROVIDER,)),
    snapshot.NamespacePart("payments", team=snapshot.Team("t", members={"ann": ("lead",)})),
    snapshot.PricePart((PRICE,)),
)


def test_a_snapshot_with_prices_survives_its_bytes() -> None:
    assert snapshot.decode(snapshot.encode(WHOLE)) == WHOLE


def test_equal_parts_have_equal_bytes_whatever_the_order_of_their_maps() -> None:
    turned = snapshot.ModelPrice("openai", "gpt-4o", {Dimension.INPUT: 1, Dimension.OUTPUT: 2})
    assert snapshot.encode(snapshot.PricePart((turned,))) == snapshot.encode(snapshot.PricePart((PRICE,)))
    assert snapshot.version(snapshot.PricePart((turned,))) == snapshot.version(snapshot.PricePart((PRICE,)))


def test_another_price_is_another_version() -> None:
    dearer = snapshot.ModelPrice("openai", "gpt-4o", {Dimension.INPUT: 1, Dimension.OUTPUT: 3})
    assert snapshot.version(snapshot.PricePart((dearer,))) != snapshot.version(snapshot.PricePart((PRICE,)))


@pytest.mark.parametrize("offset", [1, -3, 100])
def test_another_format_is_refused_whole(offset: int) -> None:
    strange = snapshot.encode(WHOLE).replace(b'"format":1', b'"format":%d' % (snapshot.FORMAT + offset))
    with pytest.raises(snapshot.FormatError, match="is not among"):
        snapshot.decode(strange)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"format":1}', b'{"format":"1"}'])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(snapshot.FormatError):
        snapshot.decode(data)


def test_fields_of_later_versions_are_ignored() -> None:
    later = snapshot.encode(WHOLE).replace(b'{"format":1', b'{"format":1,"later":[1,{}]')
    assert snapshot.decode(later) == WHOLE


RECORDED = pathlib.Path(__file__).parents[2] / "golden" / "wire" / "snapshot-1.json"


def test_a_recorded_snapshot_of_format_1_is_still_read_as_it_was_meant() -> None:
    """Sidecars live for a year: this file is never regenerated, only joined by those of later formats."""
    read = snapshot.decode(RECORDED.read_bytes())
    policy = read.organization.policies[0]
    assert (policy.id, policy.priority, policy.dry_run) == ("llm-governance/models", 300, False)
    assert isinstance(policy.body, snapshot.ModelAccess)
    assert policy.body.allow == ("openai/gpt-4o*",)
    assert read.organization.accounts[0].limit == 5_000_000_000
    assert read.namespace.namespace == "payments"
    assert read.prices.models[0].rates[Dimension.OUTPUT] == 10_000_000
