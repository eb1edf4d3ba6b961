"""The engine: what may pass, decided from a snapshot, local state and a clock that are all arguments."""
