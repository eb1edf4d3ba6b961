"""Rules across fields: when they hold."""

import pytest

from tests.support.resource_cases import RULES, Case


def _sentence(case: Case) -> str:
    return case[0]


@pytest.mark.parametrize("case", RULES, ids=_sentence)
def test_python_finds_exactly_these(case: Case) -> None:
    _, model, raw, broken = case
    assert [rule.code for rule in model.invariants if not rule.holds(raw)] == broken


def test_every_rule_is_in_the_table_both_ways() -> None:
    models = {case[1] for case in RULES}
    for model in models:
        codes = {rule.code for rule in model.invariants}
        assert codes == {code for case in RULES if case[1] is model for code in case[3]}
        assert any(case[1] is model and not case[3] for case in RULES)
