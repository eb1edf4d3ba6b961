"""The proxy beside an application: HTTP by our own hand, decisions by the core."""
