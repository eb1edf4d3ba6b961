"""What works on resources: as YAML without a cluster, and with their status from a ledger."""

import pathlib
import sys
from typing import Annotated, Optional

import typer

from llmgov_cli.commands import options

policy = typer.Typer(no_args_is_help=True, help="Work on policies without a cluster.")


def validate(paths: options.Paths) -> None:
    """Print every error with file:line, kind/name, field and what to do; exit 1 on any."""
    from llmgov_cli import validate as implementation

    raise typer.Exit(implementation.run(paths, sys.stdout))


@policy.command("test")
def policy_test(paths: options.Paths) -> None:
    """Run cases (request, principal, time, spend so far -> expected decision) and print a table of results."""
    from llmgov_cli import policytest

    raise typer.Exit(policytest.run(paths, sys.stdout))


def explain(
    request: Annotated[
        pathlib.Path, typer.Argument(help="A request as JSON (docs/policy-test.md); -: standard input.")
    ],
    folder: Annotated[
        Optional[pathlib.Path],  # noqa: UP045
        typer.Option(
            "--dir", help="The folder of YAML that governs it; default: the one being served.", show_default=False
        ),
    ] = None,
    at: options.At = None,
    state: options.State = None,
    database: options.Database = None,
    cluster: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Whose configuration, where a database is of several clusters.", show_default=False),
    ] = None,
) -> None:
    """Say which policies applied to a request, in which order, and why; with --at as it was at a time in the past."""
    from llmgov_cli import errors, moments, observe, sources
    from llmgov_cli import explain as implementation

    if at is None:
        if state is not None or database is not None or cluster is not None:
            raise errors.CommandError("--state, --database and --cluster say where a past configuration is: add --at")
        raise typer.Exit(implementation.run(request, folder, sys.stdout))
    if folder is not None:
        raise errors.CommandError("--dir is about what files say now, --at about what was in force: give one of them")
    then = moments.past("--at", at, observe.now())
    raise typer.Exit(implementation.run_at(request, sources.chosen(state, database), then, sys.stdout, cluster))


def get(
    what: Annotated[
        str,
        typer.Argument(
            help="budgets, policies, teams, credentials, templates, roles or settings; accounts, violations, outbox or "
            "snapshots."
        ),
    ],
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[NAME]", help="Only the resource of this name.", show_default=False),
    ] = None,
    state: options.State = None,
    database: options.Database = None,
    output: options.Output = "",
    policy: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Only violations of this policy: its name, or namespace/name.", show_default=False),
    ] = None,
    namespace: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Only violations by workloads of this namespace, or its snapshots.", show_default=False),
    ] = None,
    at: options.At = None,
    since: options.Since = None,
    limit: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="How many violations, the newest.", min=1, show_default=False),
    ] = None,
) -> None:
    """Print resources with their status, as kubectl would, and what is on record about them."""
    from llmgov_cli import get as implementation
    from llmgov_cli import lists, moments, observe, sources

    where = sources.chosen(state, database)
    now = observe.now()
    then = None if at is None else moments.past("--at", at, now)
    wanted = lists.Filter(policy, namespace, moments.parse("--since", since, now, 0), limit, then)
    raise typer.Exit(implementation.run(what, where, output, sys.stdout, name=name, wanted=wanted))


def crds(
    out: Annotated[pathlib.Path, typer.Option(help="Where the files go.")] = pathlib.Path("crds"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file is stale.")] = False,
) -> None:
    """Write the CustomResourceDefinitions, generated from the models."""
    from llmgov_cli import crds as implementation

    raise typer.Exit(implementation.run(out, sys.stdout, check=check))
