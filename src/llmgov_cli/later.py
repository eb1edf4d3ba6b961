"""Commands that the design fixes and that are not here yet: each says with what it comes."""

from llmgov_cli import errors

COMES_WITH = {
    "operator": "the operator, which runs all this in a cluster",
    "webhook": "the operator, which runs all this in a cluster",
    "hub": "the operator, which runs all this in a cluster",
    "inject": "the webhook, which puts sidecars into pods",
    "doctor": "the operator, whose installation it checks",
    "api": "the REST API and its dashboard",
    "local --api": "the REST API and its dashboard",
}


def missing(command: str) -> errors.CommandError:
    """The error of a command that is to come."""
    return errors.CommandError(f"{command} is not here yet: it comes with {COMES_WITH[command]}")
