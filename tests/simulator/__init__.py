"""A deterministic simulator of the ledger: sidecars, hub replicas, disks, network and clocks, in one thread.

What is simulated, what is checked, and how to replay a seed: docs/simulator.md.
"""
