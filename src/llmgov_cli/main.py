"""The entry point `llmgov`: dispatches on the first argument before anything heavy is imported.

A sidecar is started once for every pod, so its way here imports neither the CLI library nor anything of the control
plane; all other commands go through typer.
"""

import sys


def main() -> None:
    """Run the command named by the process's arguments; exits with its code (docs/cli.md lists them)."""
    if sys.argv[1:2] == ["sidecar"]:
        from llmgov_sidecar import main as sidecar

        sys.exit(sidecar.main(sys.argv[2:]))
    from llmgov_cli import app, errors, printable

    try:
        app.app()
    except errors.CommandError as error:
        print(f"llmgov: {printable.lines(str(error))}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
