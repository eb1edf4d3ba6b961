"""`llmgov prices check | update`: the pinned price data on the command line."""

import datetime
import pathlib
from typing import TextIO

from llmgov_cli import errors, price_source, prices


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
