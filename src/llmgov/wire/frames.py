"""Changing what a provider said: an answer or a stream's frame with other text, byte-identical elsewhere."""

from collections.abc import Mapping

from llmgov.wire import events, paths, spans, splice, sse


def rewrite_answer(answer: events.Answer, texts: Mapping[str, str], *, bare: bool = False) -> bytes:
    """The answer's body with the strings at these paths replaced, and what is derived from them emptied; that also
    where no string is, if `bare`.

    Raises:
        splice.SpliceError: a path is not in the answer.
    """
    return _rewrite(answer.body, texts, answer.derived) if texts or (bare and answer.derived) else answer.body


def rewrite(frame: events.Frame, texts: Mapping[str, str], *, bare: bool = False) -> bytes:
    """The frame's bytes with the strings at these paths (of its deltas and full texts) replaced; `bare` as above.

    Raises:
        splice.SpliceError: a path is not in the frame.
    """
    if not (texts or (bare and frame.derived)) or (data := sse.parse(frame.raw).data) is None:
        return frame.raw
    return sse.with_data(frame.raw, _rewrite(data, texts, frame.derived))


def more(frame: events.Frame, channel: str, text: str) -> bytes:
    """One more delta of `channel`: the bytes of an event like `frame`, which had a delta of it, that says only `text`.

    Raises:
        ValueError: `frame` has no delta of that channel.
    """
    if all(delta.channel != channel for delta in frame.deltas):
        raise ValueError(f"the frame has no delta of {channel}")
    return rewrite(frame, {delta.path: text if delta.channel == channel else "" for delta in frame.deltas})


def _rewrite(data: bytes, texts: Mapping[str, str], derived: tuple[str, ...]) -> bytes:
    return splice.replace_texts(_empty(data, derived), texts)


def _empty(data: bytes, derived: tuple[str, ...]) -> bytes:
    if not derived:
        return data
    found = spans.find(data, [paths.split(path) for path in derived])
    return splice.replace_raw(
        data,
        {
            path: b"[]" if data[found[steps].start] == ord("[") else b"null"
            for path in derived
            if (steps := paths.split(path)) in found
        },
    )
