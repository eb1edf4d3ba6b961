"""What the mock says, before it takes a provider's form: one answer for every format. Pure."""

from typing import Any

import msgspec

from llmgov_cli.mock_provider import script, tokens

_QUOTED = 200
REFUSAL = "I'm sorry, but I can't help with that."


class Answer(msgspec.Struct, frozen=True):
    """An answer and what it bills: `output_tokens` of one choice, thinking included."""

    text: str
    thinking: str | None
    call: script.Call | None
    refused: bool
    cut: bool
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    thinking_tokens: int


def make(
    plan: script.Plan, *, user: str, request: list[Any], input_tokens: int, maximum: int | None, thinks: bool = False
) -> Answer:
    """The answer to a request: `user` is its last user text, `request` all that the model reads of it.

    `maximum` is the request's own output maximum in tokens, `thinks` whether it asks for thinking.
    """
    limit = tokens.DEFAULT_MAXIMUM if maximum is None else maximum
    thinking, _ = tokens.fit(plan.think or ("The mock considers it." if thinks else ""), limit)
    thinking_tokens = tokens.of(thinking)
    text, cut = tokens.fit("" if plan.call else _text(plan, user, request), limit - thinking_tokens)
    spoken = tokens.of(text) + (tokens.of(plan.call.name + plan.call.arguments) if plan.call else 0)
    output = limit if plan.spend_max else min(max(thinking_tokens + spoken, 1), limit)
    return Answer(
        text=text,
        thinking=thinking or None,
        call=plan.call,
        refused=plan.refuse,
        cut=cut or plan.spend_max,
        input_tokens=input_tokens,
        cached_tokens=min(plan.cached, input_tokens),
        output_tokens=output,
        thinking_tokens=thinking_tokens,
    )


def _text(plan: script.Plan, user: str, request: list[Any]) -> str:
    if plan.refuse:
        return REFUSAL
    if plan.say is not None:
        return plan.say
    if plan.echo:
        return "\n".join(tokens.strings(request))
    return f"You said: {user[:_QUOTED]}"
