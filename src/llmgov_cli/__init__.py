"""Commands of `llmgov`; the only room that may import all others (lazily)."""
