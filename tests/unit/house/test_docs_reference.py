"""docs/policies.md and docs/resources.md say what the models say."""

import io
import pathlib
import re

import msgspec
import pytest
import yaml

from llmgov import resources
from llmgov.resources import outline
from llmgov_cli import reference, traffic
from tests.support import documented

DOCS = pathlib.Path(__file__).parents[3] / "docs"
PAGES = {name: (DOCS / name).read_text() for name in reference.PAGES}
_FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PLACE = re.compile(r"<!-- fields of (\w+) -->(.*?)<!-- end -->", re.DOTALL)
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([\w-]+))?\)")


def _documents(page: str) -> list[dict[str, object]]:
    return [document for block in _FENCE.findall(page) for document in yaml.safe_load_all(block)]


def test_no_table_is_stale() -> None:
    out = io.StringIO()
    assert reference.run(DOCS, out, check=True) == 0, out.getvalue()


def test_every_model_has_exactly_one_table_on_its_page() -> None:
    places = [(page, name) for page, text in PAGES.items() for name, _ in _PLACE.findall(text)]
    assert sorted(places) == sorted((reference.home(model), name) for name, model in reference.models().items())


@pytest.mark.parametrize("name", sorted(reference.models()))
def test_a_table_lists_the_fields_of_its_model(name: str) -> None:
    """By the models' own aliases, not by the generator."""
    tables = {found: table for text in PAGES.values() for found, table in _PLACE.findall(text)}
    listed = re.findall(r"^\| `(\w+)` \|", tables[name], re.MULTILINE)
    assert listed == [info.alias or field for field, info in reference.models()[name].model_fields.items()]


def test_no_two_models_share_a_name() -> None:
    """They would share a table and an anchor."""
    found: set[type] = set()
    waiting = [kind.model_fields["spec"].annotation for kind in resources.KINDS.values()]
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.add(model)
            waiting += [field.model for field in outline.fields(model).values() if field.model is not None]
    assert len({model.__name__ for model in found}) == len(found)


@pytest.mark.parametrize(
    ("model", "row"),
    [
        ("RateLimit", "| `per` | required | `User`, `Workload`, `Namespace`, `Team`, `Organization` | Whose requests"),
        ("RateLimit", '| `onExceed` | `"Block"` | `Throttle`, `Block` | Block refuses'),
        ("RateLimit", "| `maxWait` |  | [duration](resources.md#format-duration) at most 5m | How long"),
        ("Threshold", "| `percent` | required | whole number, 1 to 100 | Of the limit"),
        ("CostLimit", "| `clamp` | `true` | `true`, `false` | Whether"),
        ("ContentFilter", "| `patterns` |  | list of up to 64: [NamedPattern](policies.md#namedpattern) | Patterns"),
        ("AppliesTo", "| `users` |  | list of up to 512: [user](resources.md#format-user) | Users"),
        ("Requests", "| `budgetStatusCode` | `402` | `402`, `429` | The status"),
        ("GovernanceSettingsSpec", "| `audit` | its own | [Audit](resources.md#audit) | What"),
        ("LabelSelector", "map of [label](resources.md#format-label) to [label](resources.md#format-label)"),
    ],
)
def test_a_row_says_what_a_value_may_be(model: str, row: str) -> None:
    assert row in reference.section(reference.models()[model])


def test_a_page_that_is_stale_is_named_and_mended(tmp_path: pathlib.Path) -> None:
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text.replace("Requests in any 60 seconds.", "Requests now and then."))
    out = io.StringIO()
    assert reference.run(tmp_path, out, check=True) == 1
    assert out.getvalue() == f"{tmp_path / 'policies.md'} is stale; run python -m llmgov_cli.reference\n"
    assert reference.run(tmp_path, out) == 0
    assert {name: (tmp_path / name).read_text() for name in PAGES} == PAGES


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_yaml_on_the_page_is_valid(page: str) -> None:
    found = _documents(PAGES[page])
    assert found
    for document in found:
        assert isinstance(resources.parse(document), resources.Resource), (document, resources.parse(document))


def test_every_kind_and_every_policy_type_has_an_example() -> None:
    found = [document for text in PAGES.values() for document in _documents(text)]
    assert {document["kind"] for document in found} == set(resources.KINDS)
    bodies = {name for document in found if document["kind"] == "LLMPolicy" for name in _spec(document)}
    assert {"rateLimit", "contentFilter", "costLimit", "modelAccess", "compliance", "fromTemplate"} <= bodies


def test_the_example_of_each_policy_type_shows_every_field_of_its_body() -> None:
    """But for those with a default that nobody writes out, a reader sees each field in use."""
    policy = outline.fields(resources.LLMPolicy)["spec"].model
    assert policy is not None
    shown: dict[str, set[str]] = {}
    for document in _documents(PAGES["policies.md"]):
        for name, body in _spec(document).items():
            if isinstance(body, dict):
                shown.setdefault(name, set()).update(body)
    for name, field in outline.fields(policy).items():
        if field.model is not None:
            assert shown[name] == set(outline.fields(field.model)), name


def _spec(document: dict[str, object]) -> dict[str, object]:
    spec = document["spec"]
    assert isinstance(spec, dict)
    return spec


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {_anchor(heading) for heading in headings} | set(re.findall(r'<a id="([\w-]+)">', text))


def _anchor(heading: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", documented.pages(), ids=lambda page: str(page.relative_to(documented.ROOT)))
def test_every_link_leads_somewhere(page: pathlib.Path) -> None:
    for link, anchor in _LINK.findall(page.read_text()):
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target.read_text()), f"{link}#{anchor}"


def _rows(text: str, head: str) -> list[str]:
    """The first column of the table whose head begins so."""
    table = text[text.index(head) :].split("\n\n", 1)[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_local_mode_documents_every_key_of_traffic_files() -> None:
    text = (DOCS / "local-mode.md").read_text()
    assert _rows(text, "| key | meaning | absent |") == [field.encode_name for field in _fields(traffic.Step)]
    assert _rows(text, "| key | meaning |\n") == [field.encode_name for field in _fields(traffic.Expectation)]
    assert _rows(text, "| outcome | the call |") == [outcome.value for outcome in traffic.Outcome]


def test_local_modes_own_yaml_is_valid() -> None:
    documents = _documents((DOCS / "local-mode.md").read_text())
    assert [document.get("kind", "traffic") for document in documents] == ["Secret", "ProviderCredential", "traffic"]
    assert isinstance(resources.parse(documents[1]), resources.Resource)
    assert msgspec.convert(documents[2], traffic.Traffic).workloads() == ("payments/checkout",)


def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)
