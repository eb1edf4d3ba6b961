"""Anthropic: messages, counting tokens, models."""
