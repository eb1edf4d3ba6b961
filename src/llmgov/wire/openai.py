"""OpenAI and what is compatible with it: chat completions, responses, embeddings, models."""
