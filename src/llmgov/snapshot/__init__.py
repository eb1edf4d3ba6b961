"""THE document between control plane and data plane: compiled, immutable, free of Kubernetes types.

A namespace's snapshot has three parts, each versioned by the hash of its own content and sent only when that changes:
the organization-wide part (settings, policies and accounts that may concern everybody), the namespace's own part, and
the prices. Beside it travel the directory (users, approvals) and the credentials (in memory only, never stored).

The format has one number, `FORMAT`. A reader takes its own and the two before it (N-2: sidecars live as long as their
pods); fields are only ever added, with a default that means what their absence meant. docs/decisions/0002 has the rule.
"""

from llmgov.snapshot.accounts import (
    ACTING,
    Account,
    Period,
    Target,
    TargetKind,
    Threshold,
    ThresholdAction,
    account_key,
    user_account_key,
)
from llmgov.snapshot.base import (
    Struct,
)
from llmgov.snapshot.document import (
    FORMAT,
    Approval,
    Denial,
    Directory,
    FormatError,
    NamespacePart,
    OrganizationPart,
    Part,
    PricePart,
    Snapshot,
    approval_id,
    asking,
    decode,
    encode,
    short_name,
    version,
)
from llmgov.snapshot.matching import (
    Match,
    Selector,
    SelectorExpression,
)
from llmgov.snapshot.policies import (
    Audience,
    Body,
    Category,
    Compliance,
    ContentFilter,
    CostLimit,
    Direction,
    ModelAccess,
    OnDetect,
    OnExceed,
    Pattern,
    Policy,
    RateLimit,
    Subject,
    Written,
)
from llmgov.snapshot.prices import (
    ContextTier,
    Dimension,
    ModelPrice,
)
from llmgov.snapshot.settings import (
    AuditMode,
    Issuer,
    OnFailure,
    PromptRecording,
    Provider,
    Role,
    Settings,
    Team,
)

__all__ = [
    "ACTING",
    "FORMAT",
    "Account",
    "Approval",
    "Audience",
    "AuditMode",
    "Body",
    "Category",
    "Compliance",
    "ContentFilter",
    "ContextTier",
    "CostLimit",
    "Denial",
    "Dimension",
    "Direction",
    "Directory",
    "FormatError",
    "Issuer",
    "Match",
    "ModelAccess",
    "ModelPrice",
    "NamespacePart",
    "OnDetect",
    "OnExceed",
    "OnFailure",
    "OrganizationPart",
    "Part",
    "Pattern",
    "Period",
    "Policy",
    "PricePart",
    "PromptRecording",
    "Provider",
    "RateLimit",
    "Role",
    "Selector",
    "SelectorExpression",
    "Settings",
    "Snapshot",
    "Struct",
    "Subject",
    "Target",
    "TargetKind",
    "Team",
    "Threshold",
    "ThresholdAction",
    "Written",
    "account_key",
    "approval_id",
    "asking",
    "decode",
    "encode",
    "short_name",
    "user_account_key",
    "version",
]
