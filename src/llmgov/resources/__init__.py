"""The seven custom resources as pydantic models: the single source of the CRDs. Never imported by a sidecar."""
