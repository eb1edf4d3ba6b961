"""The record of what was allowed: canonical records, a chain over salted commitments, signed checkpoints, proofs.

Where to begin: the hub calls `chain.append` for each event, inside the event's transaction, and `checkpoint.sign` every
few seconds; the sidecar calls `prompts.record`; `verify.verify` proves an export, offline. Nothing is imported here,
so that a sidecar that only records prompts does not load the cryptography of the rest.
"""
