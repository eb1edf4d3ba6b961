"""How a reply goes out: as it should, late, in pieces, or wrong in the way the plan wants."""

import asyncio

from aiohttp import web

from llmgov_cli.mock_provider import reply, script

_SLOW_PACE = 0.01
_HTML = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


async def send(
    request: web.Request, planned: reply.Planned, headers: dict[str, str], closing: asyncio.Event
) -> web.StreamResponse:
    """Answer `request`; `closing` ends what would never end."""
    plan, answer = planned.plan, planned.reply
    await asyncio.sleep(plan.delay)
    match plan.fault:
        case script.Fault.RESET:
            return _reset(request)
        case script.Fault.HANG:
            await closing.wait()
            return _reset(request)
        case script.Fault.BAD_GATEWAY:
            return web.Response(status=502, text=_HTML, content_type="text/html")
        case script.Fault.REDIRECT:
            return web.Response(status=307, headers={"location": "http://127.0.0.1:9/elsewhere"})
        case _:
            return await _body(request, answer, plan, headers | answer.headers)


async def _body(
    request: web.Request, answer: reply.Reply, plan: script.Plan, headers: dict[str, str]
) -> web.StreamResponse:
    match answer:
        case reply.Whole():
            body = b'{"id": nonsense' if plan.fault is script.Fault.MALFORMED else reply.encode(answer.body)
            sent = {"content-type": "application/json", "content-length": str(len(body))}
            response = web.StreamResponse(status=answer.status, headers=headers | sent)
            pieces = _broken([body], plan.fault, body)
        case reply.Stream():
            sent = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
            response = web.StreamResponse(status=200, headers=headers | sent)
            pieces = _broken(answer.events, plan.fault, answer.error)
    await response.prepare(request)
    for number, piece in enumerate(pieces):
        await asyncio.sleep(_pace(plan) if number else 0)
        await response.write(piece)
    if plan.fault is script.Fault.CUT:
        return _reset(request, response)
    await response.write_eof()
    return response


def _broken(pieces: list[bytes], fault: script.Fault | None, error: bytes) -> list[bytes]:
    """The pieces as a fault leaves them; a whole body is one piece."""
    half = len(pieces) // 2
    match fault:
        case script.Fault.CUT if len(pieces) == 1:
            return [pieces[0][: len(pieces[0]) // 2]]
        case script.Fault.CUT:
            return pieces[:half]
        case script.Fault.ERROR_EVENT if len(pieces) > 1:
            return [*pieces[:half], error]
        case script.Fault.MALFORMED if len(pieces) > 1:
            return [*pieces[:half], b"data: {nonsense\n\n", *pieces[half:]]
        case script.Fault.SLOW:
            return [piece[at : at + 1] for piece in pieces for at in range(len(piece))]
        case _:
            return pieces


def _pace(plan: script.Plan) -> float:
    return plan.pace or (_SLOW_PACE if plan.fault is script.Fault.SLOW else 0.0)


def _reset(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """End the connection at once; aiohttp then has nobody to write to."""
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()
