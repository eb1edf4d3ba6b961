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
