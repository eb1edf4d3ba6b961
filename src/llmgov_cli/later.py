"""Commands that the design fixes and that are not here yet: each says with what it comes."""

from llmgov_cli import errors

COMES_WITH = {
    "webhook": "the webhook, which puts sidecars into pods",
    "hub": "the sidecars in a cluster, which it serves",
    "inject": "the webhook, which puts sidecars into pods",
    "doctor": "the chart, whose installation it checks",
    "api": "the REST API and its dashboard",
    "local --api": "the REST API and its dashboard",
}


def missing(command: str) -> errors.CommandError:
    """The error of a command that is to come."""
    return errors.CommandError(f"{command} is not here yet: it comes with {COMES_WITH[command]}")
