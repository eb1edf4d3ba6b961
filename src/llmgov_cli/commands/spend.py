"""`llmgov spend`: what was spent, and what nobody accounted for."""

import sys
from typing import Annotated, Optional

import typer

from llmgov_cli.commands import options

spend = typer.Typer(invoke_without_command=True)


@spend.callback()
def report(
    context: typer.Context,
    by: Annotated[str, typer.Option(help="team, user, model, namespace or day.")] = "model",
    state: options.State = None,
    database: options.Database = None,
    output: options.Output = "",
    since: options.Since = None,
    until: options.Until = None,
) -> None:
    """Sum what was spent; or, with a command, find money that nobody accounted for, and correct it."""
    from llmgov_cli import errors, sources
    from llmgov_cli import spend as implementation

    if context.invoked_subcommand is not None:
        if state or database or output or since or until:
            raise errors.CommandError(f"spend {context.invoked_subcommand}: its options stand behind it")
        return
    start, end = options.span(since, until)
    raise typer.Exit(implementation.run(by, sources.chosen(state, database), output, sys.stdout, start=start, end=end))


@spend.command("unknown")
def unknown(
    state: options.State = None,
    database: options.Database = None,
    output: options.Output = "",
    since: options.Since = None,
    until: options.Until = None,
) -> None:
    """Print money that was charged without knowing what it bought: attempts, and leases of lost pods."""
    from llmgov_cli import sources
    from llmgov_cli import unknown as implementation

    start, end = options.span(since, until)
    raise typer.Exit(implementation.run(sources.chosen(state, database), output, sys.stdout, start=start, end=end))


@spend.command("correct")
def correct(
    subject: Annotated[str, typer.Argument(help="An attempt, a lease or a holder, as `spend unknown` shows it.")],
    cost: Annotated[str, typer.Option(metavar="USD", help="What it cost, by the provider's bill.")],
    reason: Annotated[str, typer.Option(help="Why; it goes on record.")],
    account: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of a holder: the account whose lost leases are meant.", show_default=False),
    ] = None,
    window: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="TIME", help="Of a holder: when that account's window began.", show_default=False),
    ] = None,
    id_: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--id", help="The correction's own id, to repeat one safely.", show_default=False),
    ] = None,
    state: options.State = None,
    database: options.Database = None,
    output: options.Output = "",
) -> None:
    """Put what the provider billed in the place of what was assumed; print every account that this changes."""
    from llmgov_cli import correcting as implementation
    from llmgov_cli import sources

    where = sources.chosen(state, database)
    raise typer.Exit(
        implementation.run(subject, cost, reason, where, output, sys.stdout, account=account, window=window, id_=id_)
    )


@spend.command("corrections")
def corrections(
    state: options.State = None,
    database: options.Database = None,
    output: options.Output = "",
    since: options.Since = None,
    until: options.Until = None,
) -> None:
    """Print the corrections that were made: who, when, from what to what, and why."""
    from llmgov_cli import correcting as implementation
    from llmgov_cli import sources

    start, end = options.span(since, until)
    raise typer.Exit(implementation.show(sources.chosen(state, database), output, sys.stdout, start=start, end=end))


@spend.command("accept-loss")
def accept_loss(
    reason: Annotated[str, typer.Option(help="Why; it goes on record.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    state: options.State = None,
    database: options.Database = None,
) -> None:
    """After a failover lend again though not every sidecar has told what it holds; says what that means, and asks."""
    from llmgov_cli import accepting as implementation
    from llmgov_cli import errors, sources

    def confirm(question: str) -> bool:
        if not yes and not sys.stdin.isatty():
            raise errors.CommandError("nobody is there to ask; nothing was changed: give --yes")
        return yes or typer.confirm(question)

    where = sources.chosen(state, database)
    raise typer.Exit(implementation.run(reason, where, sys.stdout, confirm=confirm))
