"""`llmgov prices list | check | update`: the pinned price data on the command line."""

import datetime
import pathlib
from typing import TextIO

from llmgov import money
from llmgov.snapshot import Dimension, ModelPrice
from llmgov_cli import errors, price_source, prices, tables

_HEADINGS = ("Model", "Input", "Output", "Context", "Max-Output")


def show(output: str, out: TextIO) -> int:
    """Print every model with a known price by its exact name: USD for a million tokens, and its bounds in tokens.

    Raises:
        CommandError: no such format.
    """
    tables.check_format(output)
    models = sorted(prices.prices().models, key=lambda each: (each.provider, each.model))
    if output in ("json", "yaml"):
        out.write(tables.dump([tables.record(_HEADINGS, _row(each)) for each in models], output))
    else:
        out.write(tables.render(_HEADINGS, [_row(each) for each in models]))
    return 0


def _row(price: ModelPrice) -> list[tables.Cell]:
    return [
        f"{price.provider}/{price.model}",
        _rate(price, Dimension.INPUT),
        _rate(price, Dimension.OUTPUT),
        price.context_window,
        price.max_output_tokens,
    ]


def _rate(price: ModelPrice, dimension: Dimension) -> str | None:
    """A rate as providers publish it: pico-USD a token are micro-USD a million."""
    rate = price.rates.get(dimension)
    return None if rate is None else money.format_amount(rate)


def check(out: TextIO) -> int:
    """Say what is wrong with the pinned data; 1 where anything is."""
    wrong = prices.check(prices.load())
    out.writelines(f"{sentence}\n" for sentence in wrong)
    if not wrong:
        out.write(f"{len(prices.prices().models)} models, all with source and date\n")
    return 1 if wrong else 0


def update(target: pathlib.Path, out: TextIO) -> int:
    """Rewrite `target` with what is published today, and print the difference for review.

    Raises:
        CommandError: genai-prices is not installed, or lacks something that the overlay asks for.
    """
    try:
        new = prices.update(prices.load_overlay(), datetime.datetime.now(datetime.UTC).date())
    except price_source.SourceError as error:
        raise errors.CommandError(str(error)) from error
    difference = prices.diff(target.read_bytes() if target.exists() else b"", new)
    if difference:
        target.write_bytes(new)
    out.write(difference or "nothing changed\n")
    return 0
