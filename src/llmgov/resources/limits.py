"""Amounts over time and what happens on the way to them; Budget and `costLimit` share these."""

from pydantic import Field

from llmgov.resources import scalars
from llmgov.resources.base import Model
from llmgov.snapshot import Period, ThresholdAction


class Threshold(Model):
    """What happens at a percentage of the limit."""

    percent: scalars.Percent
    """Of the limit, 1 to 100."""
    actions: tuple[ThresholdAction, ...] = Field(min_length=1, max_length=4)
    """What happens, once in a window. Whatever is listed, nothing is granted beyond 100 %."""


class Limit(Model):
    """An amount for one calendar window."""

    period: Period
    """The window."""
    amount: scalars.Amount
    """At most this much in one window, as a decimal string."""
