"""OpenAI and what is compatible with it: chat completions, responses, embeddings, models."""

from llmgov.wire.openai.request import parse_request, usage_edits

__all__ = ["parse_request", "usage_edits"]
