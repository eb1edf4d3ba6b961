"""Prometheus' text format read by its specification, so that what a sidecar serves is what Prometheus would take in.

https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4).
"""

import re
from typing import NamedTuple

_SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"')
_SUFFIXES = ("_bucket", "_sum", "_count")


class Sample(NamedTuple):
    """One line: a name, its labels, a value."""

    name: str
    labels: dict[str, str]
    value: float


class Scrape:
    """All samples of one scrape, and the kind of each metric."""

    def __init__(self, text: str) -> None:
        """Read it.

        Raises:
            AssertionError: a line that Prometheus would refuse, or a sample without the type before it.
        """
        self.kinds: dict[str, str] = {}
        self.samples: list[Sample] = []
        assert text.endswith("\n")
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.kinds, f"{name} has two types"
                self.kinds[name] = kind
            elif not line.startswith("# HELP "):
                self._sample(line)

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of a name that have these labels."""
        found = (one for one in self.samples if one.name == name)
        return sum(one.value for one in found if labels.items() <= one.labels.items())

    def values(self, name: str, label: str) -> set[str]:
        """The values that a label has."""
        return {one.labels[label] for one in self.samples if one.name == name}

    def _sample(self, line: str) -> None:
        match = _SAMPLE.fullmatch(line)
        assert match, f"{line!r} is no sample"
        name = match[1]
        stem = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)
        assert name in self.kinds or self.kinds.get(stem) == "histogram", f"{name} has no type before it"
        self.samples.append(Sample(name, dict(_LABEL.findall(match[2] or "")), float(match[3])))
