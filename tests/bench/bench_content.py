"""How long content filters take: `python -m tests.bench.bench_content`. Prints medians; asserts nothing.

The target (design section 12): 32 KiB scanned in at most 1 ms, with all detectors and twenty patterns of users.
"""

import base64
import random
import statistics
import time
from collections.abc import Callable

from llmgov.policy import content
from llmgov.policy.decision import OutputFilter
from llmgov.policy.output import OutputScanner
from llmgov.policy.scanner import Scanner
from llmgov.snapshot import Category, ContentFilter, Direction, OnDetect, Pattern

SIZE = 32 * 1024
ROUNDS = 40

USERS = tuple(Pattern(f"p{index}", rf"(?i)\bproject[- ]{index}\d{{3}}\b|ticket-{index}\d+") for index in range(20))
FILTER = ContentFilter((Direction.REQUEST, Direction.RESPONSE), OnDetect.REDACT, USERS, tuple(Category))


def main() -> None:
    """Scan texts of several kinds, and stream one."""
    finder = Scanner([FILTER])
    for name, text in _texts().items():
        data = text.encode()[:SIZE]
        first = _milliseconds(lambda data=data: content.find(Scanner([FILTER]), data), 3)
        print(
            f"{name:8} {len(data):6} bytes  {_milliseconds(lambda d=data: content.find(finder, d)):7.3f} ms"
            f"  ({first:.1f} ms with building the scanner)  {len(content.find(finder, data))} hits"
        )
    output = OutputScanner([OutputFilter("p", FILTER, dry_run=False)])
    words = [word + " " for word in _texts()["prose"].split()[:500]]
    whole = _milliseconds(lambda: _stream(output, words), 10)
    print(f"stream   {len(words):6} deltas {whole * 1000 / len(words):7.2f} µs each")


def _stream(output: OutputScanner, words: list[str]) -> None:
    stream = output.stream("content")
    for word in words:
        stream.feed(word)
    stream.close()


def _milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def _texts() -> dict[str, str]:
    chance = random.Random(1)
    words = ["".join(chance.choices("etaoinshrdlucmfwyp", k=chance.randint(2, 9))) for _ in range(3000)]
    return {
        "prose": " ".join(chance.choices(words, k=8000)),
        "numbers": " ".join(str(chance.randint(0, 10 ** chance.randint(1, 12))) for _ in range(8000)),
        "base64": base64.b64encode(chance.randbytes(SIZE)).decode(),
        "escapes": '\\n\\u0041 and \\"quoted\\" ' * 1600,
    }


if __name__ == "__main__":
    main()
