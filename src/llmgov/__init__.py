"""The pure core of llm-governance: what is decided, compiled, counted and proven, without any I/O.

Resources go in at the top (`llmgov.resources`), the compiler turns them into one document (`llmgov.snapshot`), and the
engine (`llmgov.policy`), the ledger (`llmgov.ledger`) and the audit (`llmgov.audit`) work from that document alone.
Nothing here reads a clock: the time is an argument, in microseconds (see `llmgov.instants`).
"""

__version__ = "0.1.0"
