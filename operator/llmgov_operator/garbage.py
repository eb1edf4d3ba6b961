"""How often Python looks for garbage in cycles."""

import gc
from typing import Final

THRESHOLDS: Final = (100_000, 50, 100)
"""Objects by which a process may grow before the youngest are looked at, and how many looks it takes for the older ones
(`gc.set_threshold`). A round makes tens of thousands of objects, which live until the next; by Python's own thresholds
every second round looked at everything that is known, for which 5,000 policies take a sixth of a second."""


def collect_seldom() -> None:
    """Look seldom: configurations and statuses have no cycles, so what they leave behind goes at once."""
    gc.set_threshold(*THRESHOLDS)
