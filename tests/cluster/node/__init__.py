"""Tier 2: a node that runs real pods, in namespaces of its own (root on Linux; containerd, runc, CNI plugins)."""
