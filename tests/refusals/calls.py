"""The SDK methods that the table has rows for, each as an application writes it."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

OUTPUT = 50
"""The output maximum of all calls; clients ask for one, so that nothing is clamped."""


@dataclasses.dataclass(slots=True, frozen=True)
class Ask:
    """What a call asks for. `extra` are the SDKs' own keywords `extra_headers` and `extra_body`."""

    text: str = "Say hello"
    gpt: str = "gpt-4o-mini"
    embedding: str = "text-embedding-3-small"
    claude: str = "claude-sonnet-5-5"
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)


Make = Callable[[Any, Ask], Iterator[str]]
"""Makes a call with a client; yields the answer's text as it comes, at least one piece."""


@dataclasses.dataclass(slots=True, frozen=True)
class Call:
    """One method. `name` is how the table calls it, `sdk` whose it is."""

    sdk: str
    name: str
    make: Make


def _chat(client: Any, ask: Ask) -> Iterator[str]:
    answer = client.chat.completions.create(**_chat_arguments(ask))
    yield answer.choices[0].message.content


def _chat_stream(client: Any, ask: Ask) -> Iterator[str]:
    for chunk in client.chat.completions.create(**_chat_arguments(ask), stream=True):
        yield chunk.choices[0].delta.content or "" if chunk.choices else ""


def _responses(client: Any, ask: Ask) -> Iterator[str]:
    yield client.responses.create(**_responses_arguments(ask)).output_text


def _responses_stream(client: Any, ask: Ask) -> Iterator[str]:
    for event in client.responses.create(**_responses_arguments(ask), stream=True):
        yield event.delta if event.type == "response.output_text.delta" else ""


def _embeddings(client: Any, ask: Ask) -> Iterator[str]:
    yield str(client.embeddings.create(model=ask.embedding, input=ask.text, **ask.extra).data[0].embedding[0])


def _models(client: Any, ask: Ask) -> Iterator[str]:
    yield next(iter(client.models.list(**ask.extra))).id


def _messages(client: Any, ask: Ask) -> Iterator[str]:
    yield client.messages.create(**_messages_arguments(ask)).content[0].text


def _messages_stream(client: Any, ask: Ask) -> Iterator[str]:
    for event in client.messages.create(**_messages_arguments(ask), stream=True):
        yield getattr(getattr(event, "delta", None), "text", None) or ""


def _messages_helper(client: Any, ask: Ask) -> Iterator[str]:
    with client.messages.stream(**_messages_arguments(ask)) as stream:
        yield from stream.text_stream


def _moderations(client: Any, ask: Ask) -> Iterator[str]:
    yield str(client.moderations.create(input=ask.text).id)


def _images(client: Any, ask: Ask) -> Iterator[str]:
    yield str(client.images.generate(prompt=ask.text).created)


def _files(client: Any, _: Ask) -> Iterator[str]:
    yield str(len(client.files.list().data))


def _batches(client: Any, _: Ask) -> Iterator[str]:
    yield str(len(client.messages.batches.list().data))


def _chat_arguments(ask: Ask) -> dict[str, Any]:
    messages = [{"role": "user", "content": ask.text}]
    return {"model": ask.gpt, "messages": messages, "max_completion_tokens": OUTPUT, **ask.extra}


def _responses_arguments(ask: Ask) -> dict[str, Any]:
    return {"model": ask.gpt, "input": ask.text, "max_output_tokens": OUTPUT, **ask.extra}


def _messages_arguments(ask: Ask) -> dict[str, Any]:
    messages = [{"role": "user", "content": ask.text}]
    return {"model": ask.claude, "messages": messages, "max_tokens": OUTPUT, **ask.extra}


OPENAI, ANTHROPIC = "openai", "anthropic"

WHOLE = (
    Call(OPENAI, "chat.completions.create", _chat),
    Call(OPENAI, "responses.create", _responses),
    Call(ANTHROPIC, "messages.create", _messages),
)
STREAMS = (
    Call(OPENAI, "chat.completions.create(stream=True)", _chat_stream),
    Call(OPENAI, "responses.create(stream=True)", _responses_stream),
    Call(ANTHROPIC, "messages.create(stream=True)", _messages_stream),
    Call(ANTHROPIC, "messages.stream", _messages_helper),
)
GENERATING = WHOLE + STREAMS
METERED = (*GENERATING, Call(OPENAI, "embeddings.create", _embeddings))
EVERY = (*METERED, Call(OPENAI, "models.list", _models), Call(ANTHROPIC, "models.list", _models))
UNROUTED = (
    Call(OPENAI, "moderations.create", _moderations),
    Call(OPENAI, "images.generate", _images),
    Call(OPENAI, "files.list", _files),
    Call(ANTHROPIC, "messages.batches.list", _batches),
)
