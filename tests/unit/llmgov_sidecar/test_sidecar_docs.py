"""docs/sidecar.md names every setting with its default, and every metric with its labels."""

import pathlib
import re

from llmgov_sidecar import settings
from llmgov_sidecar.metrics import Metrics

PAGE = (pathlib.Path(__file__).parents[3] / "docs" / "sidecar.md").read_text()


def _rows(prefix: str) -> dict[str, list[str]]:
    rows = (line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith(f"| `{prefix}"))
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in rows}


def test_every_setting_is_documented_with_its_default_and_a_reason() -> None:
    promised = settings.Settings()
    expected = {f"LLMGOV_{name.upper()}": str(getattr(promised, name)) for name in settings.Settings.__struct_fields__}
    documented = _rows("LLMGOV_")
    assert {name: cells[0].strip("`") for name, cells in documented.items()} == expected
    assert all(cells[1] for cells in documented.values())


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    exposed = Metrics()
    exposed.llm_requests.add("p", "m", "o", "d")
    kinds = dict(re.findall(r"# TYPE (\S+) (\S+)", exposed.render().decode()))
    documented = {**_rows("llm"), **_rows("http"), **_rows("policy")}
    assert {name: cells[0] for name, cells in documented.items()} == kinds
    assert documented["llm_requests_total"][1] == "provider, model, operation, decision"
