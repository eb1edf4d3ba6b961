"""Anthropic: messages, models."""
