"""A mock of the providers' APIs: real wire formats, errors, streams and faults, and no model.

It shares nothing with `llmgov.wire` or `llmgov.prices`: what it says must be right by the providers' references, so
that it can find mistakes there. `server.app()` is an aiohttp application (local mode runs it inside), `main.run` a
process.

*Who may call.* OpenAI's routes want `Authorization: Bearer mock-openai-key`, Anthropic's `x-api-key` (or bearer token)
`mock-anthropic-key` and `anthropic-version`, as the real ones want theirs: so a test sees that the real key went in.

*What it answers.* `You said: <the last user text>`, unless that text has lines that begin with `mock:`:

    mock: say TEXT            answer TEXT (to the end of the message)
    mock: echo                answer with every string of the request, so that a redaction can be seen
    mock: call NAME JSON      call a tool
    mock: think TEXT          think first (reasoning summary, thinking block)
    mock: refuse              refuse, as the model itself would
    mock: spend max           bill the most that the request allows: a token for each byte in, the output's maximum out
    mock: cached N            bill N of the input tokens as read from the cache
    mock: tier NAME           say that the request was served on that service tier
    mock: delay 200ms         wait before the answer's first byte
    mock: pace 20ms           wait before each further piece
    mock: status N            answer with that error: 400, 401, 403, 404, 429, 500, 503 or 529
    mock: fault KIND          reset, hang, bad-gateway, redirect, malformed, cut, slow, error-event (see `script.Fault`)

`POST /mock/next` with the same lines as its body (without `mock:`) sets them for the next request, whatever that says.
`GET /mock/requests` lists what came in, the newest last; `DELETE` forgets it.

*Tokens.* A string has one for every four bytes of UTF-8, begun ones counted; a message has three more, a request three
more, a tool's definition those of its compact JSON, an image 85. Streams carry four characters a piece.
"""
