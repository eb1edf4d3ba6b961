"""Settings about what is on record (guide, section Audit Log Configuration). Auditing itself cannot be switched off."""

import enum
from typing import Literal

from llmgov.resources import scalars
from llmgov.resources.base import Model
from llmgov.snapshot import AuditMode, PromptRecording


class Level(enum.Enum):
    """Which events of a group are recorded."""

    ALL = "All"
    FAILURES = "Failures"


class Levels(Model):
    """Which administrative events are recorded."""

    authentication: Level = Level.ALL
    """Signing in and out."""
    authorization: Level = Level.ALL
    """What was permitted and refused."""
    data_access: Level = Level.ALL
    """Who read records and exports."""
    configuration_changes: Level = Level.ALL
    """Settings, credentials, teams, roles."""
    policy_updates: Level = Level.ALL
    """Policies, templates, budgets."""


class Retention(Model):
    """How long records stay."""

    default_days: scalars.Days = 365
    """Records that no policy keeps longer."""
    compliance_days: scalars.Days = 2555
    """Records of requests under a policy with requireAudit."""


class Export(Model):
    """How exports are written."""

    format: Literal["JSON"] = "JSON"
    """Lines of JSON."""
    encryption: bool = True
    """Whether they are encrypted (AES-256-GCM)."""
    compression: Literal["Gzip", "None"] = "Gzip"
    """Whether they are compressed."""


class Audit(Model):
    """What is put on record."""

    mode: AuditMode = AuditMode.SPOOL
    """Strict: durable in the store before a request is dispatched; Spool: on the pod's disk."""
    prompts: PromptRecording = PromptRecording.DIGEST
    """What of a prompt is recorded; Full is encrypted."""
    log_all_requests: bool = True
    """Whether allowed requests are recorded one by one."""
    levels: Levels = Levels()
    """Which administrative events are recorded."""
    retention: Retention = Retention()
    """How long records stay."""
    export: Export = Export()
    """How exports are written."""
