"""`llmgov prices update` and `check`: the pinned price data, changed only by a diff that somebody reviews.

Figures come from genai-prices (which is installed for this alone: it is large, and a price must not change because a
library did) and from an overlay with what that lacks. The data ends up in the package; loading it is `load`.
"""

import datetime
import difflib
import importlib.resources

import msgspec

from llmgov.prices import document
from llmgov.snapshot import Dimension, ModelPrice, PricePart
from llmgov_cli import price_source

_ABOUT = (
    "Pinned prices in USD: tokens for a million, calls for a thousand, tiers and regions as factors. Made by `llmgov"
    " prices update` from genai-prices and overlay.json; not edited by hand."
)
_DEAREST_RATIO = 25
"""Output costs at most so many times input, and a cache write at most twice: beyond that a figure is a typing error."""


def load() -> bytes:
    """The bytes of the pinned data."""
    return importlib.resources.files("llmgov.prices").joinpath("data.json").read_bytes()


def prices() -> PricePart:
    """The pinned prices, as a part of the snapshot.

    Raises:
        document.PriceDataError: the installed data is damaged.
    """
    return document.parse(load())


def load_overlay() -> bytes:
    """The bytes of the overlay."""
    return importlib.resources.files("llmgov.prices").joinpath("overlay.json").read_bytes()


def update(overlay: bytes, today: datetime.date) -> bytes:
    """New price data: what is published today for the overlay's models.

    Raises:
        price_source.SourceError: genai-prices is not installed, or lacks a model or rate of the overlay.
    """
    wanted = msgspec.json.decode(overlay, type=price_source.Overlay)
    entries = tuple(price_source.entry(wish, today) for wish in wanted.models)
    return document.render(document.File(about=_ABOUT, models=entries))


def diff(old: bytes, new: bytes) -> str:
    """What changes, as a unified diff for review; empty where nothing does."""
    lines = difflib.unified_diff(
        old.decode().splitlines(keepends=True), new.decode().splitlines(keepends=True), "data.json", "data.json (new)"
    )
    return "".join(lines)


def check(data: bytes) -> list[str]:
    """Everything that is wrong with price data, a sentence each: unsorted, unsourced, doubled, or implausible."""
    try:
        file = document.read(data)
        models = document.parse(data).models
    except document.PriceDataError as error:
        return [str(error)]
    problems = [] if document.render(file) == data else ["The file is not in its canonical form (sorted, two spaces)."]
    seen: set[str] = set()
    for price in models:
        for name in (price.model, *price.aliases):
            if f"{price.provider}/{name}" in seen:
                problems.append(f"{price.provider}/{name} is there twice.")
            seen.add(f"{price.provider}/{name}")
        problems += [f"{price.provider}/{price.model}: {problem}" for problem in _implausible(price)]
    return problems


def _implausible(price: ModelPrice) -> list[str]:
    rates = price.rates
    read, said = rates.get(Dimension.INPUT, 0), rates.get(Dimension.OUTPUT)
    written = [rate for dimension, rate in rates.items() if dimension.value.startswith("cacheWrite")]
    tests = {
        "has no price for input.": read <= 0,
        "has an output price that is no plausible multiple of its input price.": said is not None
        and not read <= said <= _DEAREST_RATIO * read,
        "has a cached price above its input price.": rates.get(Dimension.CACHED_INPUT, 0) > read,
        "has a cache write price that is not between one and three times its input price.": any(
            not read <= rate <= 3 * read for rate in written
        ),
        "has a context tier that lies beyond its context window.": any(
            tier.above >= (price.context_window or tier.above + 1) for tier in price.context_tiers
        ),
        "has a context tier that is cheaper than its base rates.": any(
            rate < rates.get(dimension, 0) for tier in price.context_tiers for dimension, rate in tier.rates.items()
        ),
        "has no source.": not price.source.startswith("https://"),
        "has no date.": not _is_date(price.as_of),
    }
    return [sentence for sentence, failed in tests.items() if failed]


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
