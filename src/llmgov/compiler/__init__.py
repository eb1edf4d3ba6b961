"""`resources -> (snapshots, problems)`: whole sets in, compiled parts out, nothing in between is kept.

`compile` is the way in; `llmgov.compiler.codes` names every problem that needs two resources to be seen.
"""

from llmgov.compiler.compiling import (
    ORGANIZATION,
    Compiled,
    compile,  # noqa: A004 - called as `compiler.compile`
    holders,
)
from llmgov.compiler.inputs import Namespace, ResourceSet, SecretFacts

__all__ = ["ORGANIZATION", "Compiled", "Namespace", "ResourceSet", "SecretFacts", "compile", "holders"]
