"""The guide lists exactly what filters do not look at in answers."""

import pathlib
import re

from llmgov.wire import answers
from llmgov.wire.anthropic import answer as of_anthropic
from llmgov.wire.openai import answer as of_openai
from llmgov.wire.openai import chat_stream, responses_stream

GUIDE = pathlib.Path(__file__).parents[3] / "docs" / "policies.md"
ELSEWHERE = {"container", "expires_at", "audio.data", "result", "partial_image_b64", "retry"}
"""Media, and what one place of one format holds; the tests of the parsers say of each that it is not read."""


def test_the_guide_lists_what_is_not_read_of_an_answer() -> None:
    listed = re.search(r"<!-- not read -->\n(.*?)<!-- end -->", GUIDE.read_text(), re.DOTALL)
    assert listed is not None
    code = (
        answers.CONTROLS
        | of_openai._CONTROLS
        | of_openai._ECHOES
        | of_anthropic._CONTROLS
        | chat_stream._CONTROLS
        | responses_stream._CONTROLS
    )
    assert set(re.findall(r"`([^`]+)`", listed[1])) == code | ELSEWHERE
