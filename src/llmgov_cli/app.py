"""The command line, as typer commands that import what they run only when they run it.

Exit codes, the same for every command: 0 done, and what was asked holds; 1 it does not hold (an invalid resource, a
failed case, an unmet expectation); 2 the command was used wrongly or cannot start. `audit verify` adds 3 to 5.
"""

from typing import Annotated

import typer

from llmgov_cli.commands import approvals, audit, prices, resources, serving, spend

app = typer.Typer(
    name="llmgov",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say_version(asked: bool) -> None:
    if asked:
        import llmgov

        typer.echo(f"llmgov {llmgov.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Govern what applications do with LLM providers: policies, budgets and audit."""


def _to_come(command: str) -> None:
    """Let a command that is to come say so, without being listed."""

    @app.command(command, hidden=True, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def say() -> None:
        from llmgov_cli import later

        raise later.missing(command)


app.command()(serving.local)
app.command()(resources.validate)
app.command()(resources.explain)
app.command()(resources.get)
app.command("mock-provider")(serving.mock_provider)
app.command()(resources.crds)
app.command()(serving.hub)
app.command()(serving.operator)
app.command()(serving.sidecar)
app.add_typer(resources.policy, name="policy")
app.add_typer(audit.audit, name="audit")
app.add_typer(approvals.approvals, name="approvals")
app.add_typer(spend.spend, name="spend")
app.add_typer(prices.prices, name="prices")
for _command in ("webhook", "api", "inject", "doctor"):
    _to_come(_command)
