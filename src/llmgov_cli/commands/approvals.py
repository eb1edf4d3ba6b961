"""`llmgov approvals`: what waits for an administrator."""

import sys
from typing import Annotated

import typer

from llmgov_cli.commands import options

approvals = typer.Typer(no_args_is_help=True, help="Decide what waits for an administrator.")


@approvals.command("list")
def show(state: options.State = None, database: options.Database = None, output: options.Output = "") -> None:
    """Print what waits, and what was decided."""
    from llmgov_cli import approvals as implementation
    from llmgov_cli import sources

    raise typer.Exit(implementation.show(sources.chosen(state, database), output, sys.stdout))


@approvals.command("approve")
def approve(
    approval: Annotated[str, typer.Argument(help="Its id, as `approvals list` shows it.")],
    reason: options.Reason = "",
    state: options.State = None,
    database: options.Database = None,
) -> None:
    """Grant a pending approval; running proxies take it up within a second."""
    from llmgov_cli import approvals as implementation
    from llmgov_cli import sources

    where = sources.chosen(state, database)
    raise typer.Exit(implementation.decide([approval], where, reason, sys.stdout, grant=True))


@approvals.command("deny")
def deny(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Their ids, as `approvals list` shows them.")],
    reason: options.Reason = "",
    state: options.State = None,
    database: options.Database = None,
) -> None:
    """Refuse pending approvals, all for the same reason."""
    from llmgov_cli import approvals as implementation
    from llmgov_cli import sources

    where = sources.chosen(state, database)
    raise typer.Exit(implementation.decide(ids, where, reason, sys.stdout, grant=False))
