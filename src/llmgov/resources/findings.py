"""What can be wrong with a document, before it is a `Problem` of a named resource."""

import dataclasses

from llmgov.resources.paths import Location


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One mistake: its place, its kind, what is wrong and what to do."""

    location: Location
    code: str
    message: str
    remedy: str
