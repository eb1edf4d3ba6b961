"""Options that several commands take, each with its one help; and what `--since` and `--until` mean."""

import pathlib
from typing import Annotated, Optional

import typer

State = Annotated[
    Optional[pathlib.Path],  # noqa: UP045 (typer reads the annotation at run time)
    typer.Option(
        "--state",
        help="Local mode's state folder; default: the newest in .llmgov/ that is served, else the newest.",
        show_default=False,
    ),
]
Database = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="URL",
        help="A ledger in PostgreSQL, by a URL without a password, or sqlite:///PATH; default: LLMGOV_DATABASE_URL,"
        " which may hold one.",
        show_default=False,
    ),
]
Since = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="TIME", help="From then on: RFC 3339, or how long ago such as 1h30m.", show_default=False),
]
Until = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="TIME", help="Until then, written like --since.", show_default=False),
]
At = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="TIME", help="As it was at that time, written like --since.", show_default=False),
]
Reason = Annotated[str, typer.Option(help="Why; it goes on record.")]
Output = Annotated[
    str, typer.Option("--output", "-o", help="wide, json or yaml; default: a table.", show_default=False)
]
Paths = Annotated[list[pathlib.Path], typer.Argument(help="YAML files, or folders of them.")]


def span(since: str | None, until: str | None) -> tuple[int, int]:
    """The time that is meant, `[start, end)`; without either all of it.

    Raises:
        CommandError: one is no time.
    """
    from llmgov_cli import moments, observe

    now = observe.now()
    return moments.parse("--since", since, now, 0), moments.parse("--until", until, now, observe.ALL_TIME)
