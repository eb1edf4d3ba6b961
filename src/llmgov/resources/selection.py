"""Which namespaces and pods are meant, by name or by label."""

import enum
from typing import ClassVar

from pydantic import Field

from llmgov import snapshot
from llmgov.resources import rules, scalars
from llmgov.resources.base import Model
from llmgov.resources.rules import Rule


class Operator(enum.Enum):
    """How a label's value is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


def _values_fit(raw: rules.Raw) -> bool:
    return ("values" in raw) == (raw["operator"] in (Operator.IN.value, Operator.NOT_IN.value))


class Expression(Model):
    """One comparison of one label."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        Rule(
            code="SelectorValues",
            message="values must be given for In and NotIn, and for no other operator",
            remedy="add values, or remove them",
            cel="has(self.values) == (self.operator in ['In', 'NotIn'])",
            holds=_values_fit,
            reads=("operator",),
        ),
    )

    key: scalars.LabelKey
    """The label's key."""
    operator: Operator
    """In and NotIn compare with `values`; Exists and DoesNotExist look at the key alone."""
    values: tuple[scalars.LabelValue, ...] | None = Field(default=None, min_length=1, max_length=64)
    """The values of In and NotIn."""


class LabelSelector(Model):
    """A label selector: all of `matchLabels` equal, and every one of `matchExpressions` true."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        rules.at_least_one(
            "EmptySelector", "an empty selector would select everything", ("matchLabels", "matchExpressions")
        ),
    )

    match_labels: dict[scalars.LabelKey, scalars.LabelValue] | None = Field(default=None, min_length=1, max_length=32)
    """Labels and their values."""
    match_expressions: tuple[Expression, ...] | None = Field(default=None, min_length=1, max_length=32)
    """Comparisons of labels."""

    def compiled(self) -> snapshot.Selector:
        """The selector as the data plane reads it."""
        return snapshot.Selector(
            labels=dict(self.match_labels or {}),
            expressions=tuple(
                snapshot.SelectorExpression(each.key, each.operator.value, each.values or ())
                for each in self.match_expressions or ()
            ),
        )


class Namespaces(Model):
    """Namespaces by name, by label, or both (then either suffices)."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        rules.at_least_one("EmptySelector", "an empty selector would select everything", ("names", "selector")),
    )

    names: tuple[scalars.Label, ...] | None = Field(default=None, min_length=1, max_length=512)
    """Names of namespaces."""
    selector: LabelSelector | None = None
    """Labels of namespaces."""
