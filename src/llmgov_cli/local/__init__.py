"""Local mode: hub, sidecars and a mock provider in one process, from a folder of the same YAML that a cluster takes."""
