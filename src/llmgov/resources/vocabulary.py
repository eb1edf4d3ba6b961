"""Words that several kinds use and the data plane does not."""

import enum


class ProviderKind(enum.Enum):
    """The provider APIs."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure-openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OPENAI_COMPATIBLE = "openai-compatible"


class InheritanceMode(enum.Enum):
    """How roles of a team and those of the teams above go together."""

    ADDITIVE = "Additive"
    OVERRIDE = "Override"


class UnknownParts(enum.Enum):
    """What happens to parts of a request whose type is not known."""

    SCAN = "Scan"
    REFUSE = "Refuse"
