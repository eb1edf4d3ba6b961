"""Wire formats of the providers, sans I/O: bytes in, events out. Providers never import each other."""
