"""The command line, as typer commands that import what they run only when they run it.

Exit codes, the same for every command: 0 done, and what was asked holds; 1 it does not hold (an invalid resource, a
failed case, an unmet expectation); 2 the command was used wrongly or cannot start. `audit verify` adds 3 to 5.
"""

import pathlib
import sys
from typing import Annotated, Optional

import typer

app = typer.Typer(
    name="llmgov",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
policy = typer.Typer(no_args_is_help=True, help="Work on policies without a cluster.")
audit = typer.Typer(no_args_is_help=True, help="Verify, export and read the record of what was allowed.")
approvals = typer.Typer(no_args_is_help=True, help="Decide what waits for an administrator.")
spend = typer.Typer(invoke_without_command=True)
prices = typer.Typer(no_args_is_help=True, help="Print, check and renew the pinned price data.")
app.add_typer(policy, name="policy")
app.add_typer(audit, name="audit")
app.add_typer(approvals, name="approvals")
app.add_typer(spend, name="spend")
app.add_typer(prices, name="prices")

State = Annotated[
    Optional[pathlib.Path],  # noqa: UP045 (typer reads the annotation at run time)
    typer.Option("--state", help="Local mode's state folder; default: the newest one in .llmgov/.", show_default=False),
]
Database = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="URL",
        help="A ledger in PostgreSQL, by a URL without a password; default: LLMGOV_DATABASE_URL, which may hold one.",
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
Reason = Annotated[str, typer.Option(help="Why; it goes on record.")]
Output = Annotated[
    str, typer.Option("--output", "-o", help="wide, json or yaml; default: a table.", show_default=False)
]
Paths = Annotated[list[pathlib.Path], typer.Argument(help="YAML files, or folders of them.")]


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


@app.command()
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


@app.command()
def validate(paths: Paths) -> None:
    """Print every error with file:line, kind/name, field and what to do; exit 1 on any."""
    from llmgov_cli import validate as implementation

    raise typer.Exit(implementation.run(paths, sys.stdout))


@policy.command("test")
def policy_test(paths: Paths) -> None:
    """Run cases (request, principal, time, spend so far -> expected decision) and print a table of results."""
    from llmgov_cli import policytest

    raise typer.Exit(policytest.run(paths, sys.stdout))


@app.command()
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
) -> None:
    """Say which policies applied to a request, in which order, and why."""
    from llmgov_cli import explain as implementation

    raise typer.Exit(implementation.run(request, folder, sys.stdout))


@app.command()
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
    state: State = None,
    database: Database = None,
    output: Output = "",
    policy: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Only violations of this policy: its name, or namespace/name.", show_default=False),
    ] = None,
    namespace: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Only violations by workloads of this namespace.", show_default=False),
    ] = None,
    since: Since = None,
    limit: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="How many violations, the newest.", min=1, show_default=False),
    ] = None,
) -> None:
    """Print resources with their status, as kubectl would, and what is on record about them."""
    from llmgov_cli import get as implementation
    from llmgov_cli import lists, moments, observe, sources

    where = sources.chosen(state, database)
    wanted = lists.Filter(policy, namespace, moments.parse("--since", since, observe.now(), 0), limit)
    raise typer.Exit(implementation.run(what, where, output, sys.stdout, name=name, wanted=wanted))


@spend.callback()
def spend_report(
    context: typer.Context,
    by: Annotated[str, typer.Option(help="team, user, model, namespace or day.")] = "model",
    state: State = None,
    database: Database = None,
    output: Output = "",
    since: Since = None,
    until: Until = None,
) -> None:
    """Sum what was spent; or, with a command, find money that nobody accounted for, and correct it."""
    from llmgov_cli import errors, sources
    from llmgov_cli import spend as implementation

    if context.invoked_subcommand is not None:
        if state or database or output or since or until:
            raise errors.CommandError(f"spend {context.invoked_subcommand}: its options stand behind it")
        return
    start, end = _range(since, until)
    raise typer.Exit(implementation.run(by, sources.chosen(state, database), output, sys.stdout, start=start, end=end))


@spend.command("unknown")
def spend_unknown(
    state: State = None,
    database: Database = None,
    output: Output = "",
    since: Since = None,
    until: Until = None,
) -> None:
    """Print money that was charged without knowing what it bought: attempts, and leases of lost pods."""
    from llmgov_cli import sources
    from llmgov_cli import unknown as implementation

    start, end = _range(since, until)
    raise typer.Exit(implementation.run(sources.chosen(state, database), output, sys.stdout, start=start, end=end))


@spend.command("correct")
def spend_correct(
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
    state: State = None,
    database: Database = None,
    output: Output = "",
) -> None:
    """Put what the provider billed in the place of what was assumed; print every account that this changes."""
    from llmgov_cli import correcting as implementation
    from llmgov_cli import sources

    where = sources.chosen(state, database)
    raise typer.Exit(
        implementation.run(subject, cost, reason, where, output, sys.stdout, account=account, window=window, id_=id_)
    )


@spend.command("corrections")
def spend_corrections(
    state: State = None,
    database: Database = None,
    output: Output = "",
    since: Since = None,
    until: Until = None,
) -> None:
    """Print the corrections that were made: who, when, from what to what, and why."""
    from llmgov_cli import correcting as implementation
    from llmgov_cli import sources

    start, end = _range(since, until)
    raise typer.Exit(implementation.show(sources.chosen(state, database), output, sys.stdout, start=start, end=end))


def _range(since: str | None, until: str | None) -> tuple[int, int]:
    from llmgov_cli import moments, observe

    now = observe.now()
    return moments.parse("--since", since, now, 0), moments.parse("--until", until, now, observe.ALL_TIME)


@approvals.command("list")
def approvals_list(state: State = None, database: Database = None, output: Output = "") -> None:
    """Print what waits, and what was decided."""
    from llmgov_cli import approvals as implementation
    from llmgov_cli import sources

    raise typer.Exit(implementation.show(sources.chosen(state, database), output, sys.stdout))


@approvals.command("approve")
def approvals_approve(
    approval: Annotated[str, typer.Argument(help="Its id, as `approvals list` shows it.")],
    reason: Reason = "",
    state: State = None,
    database: Database = None,
) -> None:
    """Grant a pending approval; running proxies take it up within a second."""
    from llmgov_cli import approvals as implementation
    from llmgov_cli import sources

    where = sources.chosen(state, database)
    raise typer.Exit(implementation.decide(approval, where, reason, sys.stdout, grant=True))


@approvals.command("deny")
def approvals_deny(
    approval: Annotated[str, typer.Argument(help="Its id, as `approvals list` shows it.")],
    reason: Reason = "",
    state: State = None,
    database: Database = None,
) -> None:
    """Refuse a pending approval."""
    from llmgov_cli import approvals as implementation
    from llmgov_cli import sources

    where = sources.chosen(state, database)
    raise typer.Exit(implementation.decide(approval, where, reason, sys.stdout, grant=False))


Source = Annotated[
    Optional[pathlib.Path],  # noqa: UP045
    typer.Argument(metavar="[EXPORT]", help="An export's file; default: the ledger's record.", show_default=False),
]
Key = Annotated[
    Optional[pathlib.Path],  # noqa: UP045
    typer.Option("--key", help="The key file of an encrypted export: 64 hex digits.", show_default=False),
]


@audit.command("verify")
def audit_verify(
    source: Source = None,
    state: State = None,
    database: Database = None,
    pin: Annotated[
        Optional[list[pathlib.Path]],  # noqa: UP045
        typer.Option("--pin", help="A file of public keys to trust; of a state folder: by default its own."),
    ] = None,
    anchor: Annotated[
        Optional[pathlib.Path],  # noqa: UP045
        typer.Option("--anchor", help="A file of checkpoints kept outside; of a state folder: by default its own."),
    ] = None,
    key: Key = None,
    output: Output = "",
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
def audit_export(
    target: Annotated[pathlib.Path, typer.Argument(help="The file to write; it must not exist.")],
    state: State = None,
    database: Database = None,
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
def audit_show(
    source: Source = None,
    state: State = None,
    database: Database = None,
    key: Key = None,
    kind: Annotated[Optional[str], typer.Option(help="Only this kind of record.", show_default=False)] = None,  # noqa: UP045
    request: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Only the request with this x-request-id.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(help="How many records, the newest.", min=1, max=100_000)] = 20,
    output: Output = "",
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


@prices.command("list")
def prices_list(output: Output = "") -> None:
    """Print the models with a known price: USD for a million tokens, and their bounds in tokens."""
    from llmgov_cli import price_commands

    raise typer.Exit(price_commands.show(output, sys.stdout))


@prices.command("check")
def prices_check() -> None:
    """Check the pinned price data: sources, names, ratios."""
    from llmgov_cli import price_commands

    raise typer.Exit(price_commands.check(sys.stdout))


@prices.command("update")
def prices_update(
    target: Annotated[pathlib.Path, typer.Argument(help="The price data of a checkout.")] = pathlib.Path(
        "src/llmgov/prices/data.json"
    ),
) -> None:
    """Rewrite the pinned price data from its sources (needs genai-prices), and print the difference for review."""
    from llmgov_cli import price_commands

    raise typer.Exit(price_commands.update(target, sys.stdout))


@app.command("mock-provider")
def mock_provider(
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0: any free one.")] = 4019,
    seed: Annotated[int, typer.Option(help="Whole number from which ids are made; equal seeds, equal answers.")] = 0,
) -> None:
    """Serve a mock of the providers' APIs on 127.0.0.1: real wire formats, errors and streams, no models."""
    from llmgov_cli.mock_provider import main as implementation

    raise typer.Exit(implementation.run(port, seed))


@app.command()
def crds(
    out: Annotated[pathlib.Path, typer.Option(help="Where the files go.")] = pathlib.Path("crds"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file is stale.")] = False,
) -> None:
    """Write the CustomResourceDefinitions, generated from the models."""
    from llmgov_cli import crds as implementation

    raise typer.Exit(implementation.run(out, sys.stdout, check=check))


def _later(command: str) -> None:
    """Let a command that is to come say so, without being listed."""

    @app.command(command, hidden=True, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def say() -> None:
        from llmgov_cli import later

        raise later.missing(command)


for _command in ("operator", "webhook", "api", "inject", "doctor"):
    _later(_command)


@app.command(hidden=True)
def hub(
    migrate: Annotated[
        bool,
        typer.Option(
            "--migrate",
            help="Bring the database of LLMGOV_DATABASE_MIGRATION_URL to this version's schema, and end.",
        ),
    ] = False,
) -> None:
    """Serve sidecars: what they are to enforce, and money."""
    from llmgov_cli import hub as implementation
    from llmgov_cli import later

    if not migrate:
        raise later.missing("hub")
    raise typer.Exit(implementation.migrate(sys.stdout))


@app.command()
def sidecar() -> None:
    """The proxy beside an application; settings come from the environment (docs/sidecar.md)."""
    raise AssertionError("dispatched before typer is imported; see llmgov_cli.main")
