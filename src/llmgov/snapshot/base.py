"""What everything in the document is."""

import msgspec


class Struct(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of everything in the document: immutable, small on the wire, unknown fields ignored."""
