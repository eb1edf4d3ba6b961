"""Processes: local mode, the mock provider, the hub, the operator and the sidecar."""

import pathlib
import sys
from typing import Annotated, Optional

import typer


def local(
    folder: Annotated[
        pathlib.Path, typer.Argument(help="The folder of YAML; watched: a saved file is enforced at once.")
    ],
    as_: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--as",
            metavar="NAMESPACE/SERVICEACCOUNT=PORT",
            help="A workload and the port of its sidecar (0: any free one); may be given more than once. "
            "Default: default/default=4010.",
        ),
    ] = None,
    state: Annotated[
        Optional[pathlib.Path],  # noqa: UP045
        typer.Option(
            "--state",
            help="The folder to keep ledger and audit in, and to go on from; default: a new one in .llmgov/.",
            show_default=False,
        ),
    ] = None,
    play: Annotated[
        bool, typer.Option("--play", help="Play FOLDER/traffic.yaml and print the tables, then serve.")
    ] = False,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Play FOLDER/traffic.yaml if there is one, print the tables, and end: exit code 0 only if every "
            "expectation held.",
        ),
    ] = False,
    api: Annotated[Optional[int], typer.Option("--api", hidden=True)] = None,  # noqa: UP045
) -> None:
    """Serve a folder of YAML: hub, sidecars and a mock provider in one process."""
    from llmgov_cli import later
    from llmgov_cli.local import command

    if api is not None:
        raise later.missing("local --api")
    raise typer.Exit(command.run(folder, as_ or [], state, playing=play or once, once=once))


def mock_provider(
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0: any free one.")] = 4019,
    seed: Annotated[int, typer.Option(help="Whole number from which ids are made; equal seeds, equal answers.")] = 0,
) -> None:
    """Serve a mock of the providers' APIs on 127.0.0.1: real wire formats, errors and streams, no models."""
    from llmgov_cli.mock_provider import main as implementation

    raise typer.Exit(implementation.run(port, seed))


def hub(
    migrate: Annotated[
        bool,
        typer.Option(
            "--migrate",
            help="Bring the database of LLMGOV_DATABASE_MIGRATION_URL to this version's schema, and end.",
        ),
    ] = False,
) -> None:
    """With --migrate update the ledger's database; serving sidecars in a cluster is to come."""
    from llmgov_cli import hub as implementation
    from llmgov_cli import later

    if not migrate:
        raise later.missing("hub")
    raise typer.Exit(implementation.migrate(sys.stdout))


def operator() -> None:
    """A replica of the operator in a cluster; settings come from the environment (docs/operator.md)."""
    from llmgov_cli import operating

    raise typer.Exit(operating.run())


def sidecar() -> None:
    """The proxy beside an application; settings come from the environment (docs/sidecar.md)."""
    raise AssertionError("dispatched before typer is imported; see llmgov_cli.main")
