"""Request lines understood: which operation a method and path mean, in whose format, and what is refused.

Whatever is not in the tables is a typed refusal in the manner of the provider it was meant for, never a silent pass. A
policy may list a refused route as unmetered; the proxy then forwards it to `Unrouted.upstream_path`.

`upstream_path` follows the provider's base URL as its SDK has it: OpenAI's ends in `/v1` (`https://api.openai.com/v1`),
Anthropic's does not (`https://api.anthropic.com`), so that its paths begin with `/v1`.
"""

import functools
import re
from collections.abc import Iterable
from urllib import parse

from llmgov.wire import events
from llmgov.wire.events import Format, Operation, Reason, Refusal, Route

Headers = Iterable[tuple[str, str]]

_OPENAI = {
    ("POST", "/chat/completions"): Operation.CHAT_COMPLETIONS,
    ("POST", "/responses"): Operation.RESPONSES,
    ("POST", "/embeddings"): Operation.EMBEDDINGS,
    ("GET", "/models"): Operation.OPENAI_MODELS,
}
_ANTHROPIC = {
    ("POST", "/messages"): Operation.MESSAGES,
    ("POST", "/messages/count_tokens"): Operation.COUNT_TOKENS,
    ("GET", "/models"): Operation.ANTHROPIC_MODELS,
}
_ONE_MODEL = re.compile(r"/models/[^/]+", re.ASCII)

_ANTHROPIC_PREFIXES = ("/messages", "/complete", "/skills", "/organizations", "/agents", "/sessions")
_ANTHROPIC_HEADERS = frozenset({"anthropic-version", "anthropic-beta", "x-api-key"})

_NAMES = (
    (re.compile(r"/realtime\b"), "the Realtime API"),
    (re.compile(r"/(messages/)?batches\b"), "batches"),
    (re.compile(r"/(files|uploads)\b"), "files"),
    (re.compile(r"/audio\b"), "audio"),
    (re.compile(r"/(images|videos)\b"), "images and videos"),
    (re.compile(r"/(openai|deployments)/"), "Azure OpenAI"),
    (re.compile(r"/v1(beta|alpha)?/(models/[^/]+:|tunedModels)|/v1(beta|alpha)\b"), "Gemini"),
    (re.compile(r"/fine_tuning\b"), "fine-tuning"),
    (re.compile(r"/(assistants|threads)\b"), "assistants"),
    (re.compile(r"/responses/|/conversations\b"), "stored responses and conversations"),
    (re.compile(r"(?<!/chat)/completions$"), "legacy completions"),
    (re.compile(r"/moderations$"), "moderations"),
)

_TARGET = re.compile(r"(/[!-~]*?)(\?[!-~]*)?", re.ASCII)
_SUSPICIOUS = re.compile(r"//|/\.{1,2}(?:/|$)|\\|#|%2e|%2f|%5c|%00", re.ASCII | re.IGNORECASE)


class Unrouted(events.Struct, frozen=True):
    """A request line that is refused: in whose shape, why, and where it would go if a policy let it pass uncounted."""

    format: Format
    refusal: Refusal
    upstream_path: str


def resolve(method: str, target: str, headers: Headers = ()) -> Route | Unrouted:
    """The route of a request line; `target` is its origin-form, `headers` decide where a path belongs to both formats.

    Total: what is malformed or not supported is an `Unrouted`.
    """
    for_openai, for_anthropic = _both(method, target)
    if for_openai is for_anthropic or _by_headers(headers) is Format.OPENAI:
        return for_openai
    return for_anthropic


def naming(path: str, model: str) -> str:
    """`path`, of a route that asks about one model, with `model` as that one; any other path as it is."""
    bare, mark, query = path.partition("?")
    before = bare.rpartition("/")[0]
    if not before.endswith("/models"):
        return path
    return f"{before}/{parse.quote(model, safe=':')}{mark}{query}"


@functools.lru_cache(maxsize=64)
def _both(method: str, target: str) -> tuple[Route | Unrouted, Route | Unrouted]:
    """What a request line means with OpenAI's headers and with Anthropic's: one and the same object, where it does."""
    for_openai, for_anthropic = (_resolve(method, target, shape) for shape in (Format.OPENAI, Format.ANTHROPIC))
    return for_openai, for_openai if for_openai == for_anthropic else for_anthropic


def _resolve(method: str, target: str, otherwise: Format) -> Route | Unrouted:
    """The route of a request line; `otherwise` is whose it is where the path is both's or nobody's."""
    match = _TARGET.fullmatch(target)
    if match is None or _SUSPICIOUS.search(match[1]):
        return Unrouted(otherwise, _bad_target(), "")
    path, query = match[1], match[2] or ""
    bare = path[3:] if path.startswith("/v1/") else path
    shape = _format(method, bare, otherwise)
    operation = _operation(shape, method, bare)
    upstream = _upstream(shape, bare) + query
    if operation is None:
        return Unrouted(shape, _unsupported(method, path), upstream)
    return Route(shape, operation, upstream)


def _format(method: str, bare: str, otherwise: Format) -> Format:
    """Whose path it is."""
    owners = [shape for shape in Format if _operation(shape, method, bare) is not None]
    if len(owners) == 1:
        return owners[0]
    return Format.ANTHROPIC if bare.startswith(_ANTHROPIC_PREFIXES) else otherwise


def _by_headers(headers: Headers) -> Format:
    """Whose headers came with it."""
    named = any(name.lower() in _ANTHROPIC_HEADERS for name, _ in headers)
    return Format.ANTHROPIC if named else Format.OPENAI


def _operation(shape: Format, method: str, bare: str) -> Operation | None:
    table = _ANTHROPIC if shape is Format.ANTHROPIC else _OPENAI
    return table.get((method, "/models" if _ONE_MODEL.fullmatch(bare) else bare))


def _upstream(shape: Format, bare: str) -> str:
    return f"/v1{bare}" if shape is Format.ANTHROPIC else bare


def _bad_target() -> Refusal:
    return Refusal(Reason.MALFORMED, "llmgov: the request's target must be a plain absolute path")


def _unsupported(method: str, path: str) -> Refusal:
    what = next((name for pattern, name in _NAMES if pattern.search(path)), "this route")
    return Refusal(
        Reason.DENIED,
        f"llmgov: {what} ({method} {path[:200]}) cannot be governed yet and is refused; a policy's"
        " modelAccess.unmeteredRoutes can let it pass uncounted",
    )
