"""The record of what was allowed: canonical records, a chain over salted commitments, signed checkpoints, proofs."""
