"""The hub: what sidecars talk to. Here: leases, events and approvals, over any store."""
