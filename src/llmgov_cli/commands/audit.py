"""`llmgov audit`: the record, from a ledger or an export's file."""

import pathlib
import sys
from typing import Annotated, Optional

import typer

from llmgov_cli.commands import options

audit = typer.Typer(no_args_is_help=True, help="Verify, export and read the record of what was allowed.")

Source = Annotated[
    Optional[pathlib.Path],  # noqa: UP045
    typer.Argument(metavar="[EXPORT]", help="An export's file; default: the ledger's record.", show_default=False),
]
Key = Annotated[
    Optional[pathlib.Path],  # noqa: UP045
    typer.Option("--key", help="The key file of an encrypted export: 64 hex digits.", show_default=False),
]


@audit.command("verify")
def verify(
    source: Source = None,
    state: options.State = None,
    database: options.Database = None,
    pin: Annotated[
        Optional[list[pathlib.Path]],  # noqa: UP045
        typer.Option("--pin", help="A file of public keys to trust; of a state folder: by default its own."),
    ] = None,
    anchor: Annotated[
        Optional[pathlib.Path],  # noqa: UP045
        typer.Option("--anchor", help="A file of checkpoints kept outside; of a state folder: by default its own."),
    ] = None,
    key: Key = None,
    output: options.Output = "",
) -> None:
    """Prove the record: exit code 0 it holds, 3 tampered, 4 truncated, 5 empty."""
    from llmgov_cli import audit as implementation
    from llmgov_cli import sources

    where = sources.chosen(state, database)
    raise typer.Exit(
        implementation.run_verify(
            sys.stdout, source=source, state=where, pins=pin, anchor=anchor, key=key, output=output
        )
    )


@audit.command("export")
def export(
    target: Annotated[pathlib.Path, typer.Argument(help="The file to write; it must not exist.")],
    state: options.State = None,
    database: options.Database = None,
    gzip: Annotated[bool, typer.Option("--gzip", help="Pack it.")] = False,
    key: Key = None,
) -> None:
    """Write the record, its checkpoints and the ledger's sums as JSON lines, readable by their owner alone.

    With --key encrypted (AES-256-GCM), with --gzip packed; the settings' audit.export does not act on this command.
    """
    from llmgov_cli import audit as implementation
    from llmgov_cli import sources

    where = sources.chosen(state, database)
    raise typer.Exit(implementation.run_export(sys.stdout, target=target, state=where, gzip=gzip, key=key))


@audit.command("show")
def show(
    source: Source = None,
    state: options.State = None,
    database: options.Database = None,
    key: Key = None,
    kind: Annotated[Optional[str], typer.Option(help="Only this kind of record.", show_default=False)] = None,  # noqa: UP045
    request: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Only the request with this x-request-id.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(help="How many records, the newest.", min=1, max=100_000)] = 20,
    output: options.Output = "",
) -> None:
    """Print records, oldest first."""
    from llmgov_cli import audit as implementation
    from llmgov_cli import sources

    raise typer.Exit(
        implementation.run_show(
            sys.stdout,
            source=source,
            state=sources.chosen(state, database),
            key=key,
            kind=kind,
            request=request,
            limit=limit,
            output=output,
        )
    )
