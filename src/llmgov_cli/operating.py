"""`llmgov operator`: a replica of the operator, whose settings are environment variables (docs/operator.md)."""

import os
from collections.abc import Mapping

from llmgov.prices import document
from llmgov_cli import errors


def run(environment: Mapping[str, str] = os.environ) -> int:
    """Run until it is told to stop (0), or something fails that only a new start mends (1).

    Raises:
        CommandError: a setting is missing or cannot be, or the operator is not installed.
    """
    from llmgov_cli import prices

    try:
        from llmgov_operator import main, settings
    except ModuleNotFoundError as error:
        raise errors.CommandError(
            f"the operator is not installed ({error.name} is missing): pip install 'llm-governance[cli,hub,operator]'"
        ) from error
    try:
        return main.run(settings.Settings.read(environment), prices.prices())
    except (settings.SettingsError, document.PriceDataError) as error:
        raise errors.CommandError(str(error)) from error
