"""`llmgov prices`: the pinned price data."""

import pathlib
import sys
from typing import Annotated

import typer

from llmgov_cli.commands import options

prices = typer.Typer(no_args_is_help=True, help="Print, check and renew the pinned price data.")


@prices.command("list")
def show(output: options.Output = "") -> None:
    """Print the models with a known price: USD for a million tokens, and their bounds in tokens."""
    from llmgov_cli import price_commands

    raise typer.Exit(price_commands.show(output, sys.stdout))


@prices.command("check")
def check() -> None:
    """Check the pinned price data: sources, names, ratios."""
    from llmgov_cli import price_commands

    raise typer.Exit(price_commands.check(sys.stdout))


@prices.command("update")
def update(
    target: Annotated[pathlib.Path, typer.Argument(help="The price data of a checkout.")] = pathlib.Path(
        "src/llmgov/prices/data.json"
    ),
) -> None:
    """Rewrite the pinned price data from its sources (needs genai-prices), and print the difference for review."""
    from llmgov_cli import price_commands

    raise typer.Exit(price_commands.update(target, sys.stdout))
