"""What the model was asked, what became of it, and the bill."""

import time
from dataclasses import asdict, dataclass, field
from typing import Literal

from emulators.model.exchange import Json, Usage

_MOST_REQUESTS = 2_000
_LONGEST_BODY = 256_000
_LONGEST_PROMPT = 4_000

State = Literal["open", "answered", "refused", "cut", "left"]


@dataclass
class Record:
    """One request. `left`: the client went before the end. `usage` is what was billed, None for nothing."""

    number: int
    at: float
    api: str
    path: str
    key: str
    headers: dict[str, str]
    body: str
    model: str = ""
    stream: bool = False
    side: bool = False
    step: str = ""
    prompt: str = ""
    tools: list[str] = field(default_factory=list)
    state: State = "open"
    status: int | None = None
    usage: Usage | None = None

    def document(self) -> Json:
        return asdict(self)


@dataclass
class Bill:
    """What one key owes for one model: requests and tokens."""

    requests: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0

    def add(self, usage: Usage) -> None:
        self.requests += 1
        self.input_tokens += usage.fresh
        self.cache_read_tokens += usage.cache_read
        self.cache_write_tokens += usage.cache_write
        self.output_tokens += usage.output


class Records:
    """The newest requests, and a bill of all."""

    def __init__(self) -> None:
        self.requests: list[Record] = []
        self.bills: dict[tuple[str, str], Bill] = {}
        self.seen = 0

    def begin(self, api: str, path: str, key: str, headers: dict[str, str], body: str) -> Record:
        self.seen += 1
        record = Record(self.seen, time.time(), api, path, key, headers, body[:_LONGEST_BODY])
        self.requests.append(record)
        del self.requests[:-_MOST_REQUESTS]
        return record

    def charge(self, record: Record, usage: Usage) -> None:
        """Bill a request: once, when its answer has begun or been cut."""
        record.usage = usage
        self.bills.setdefault((record.key, record.model), Bill()).add(usage)

    def billed(self) -> Json:
        """`{"total": …, "by": [{"key", "model", tokens by kind}]}`; `input_tokens` are those that no cache held."""
        rows = [{"key": key, "model": model, **asdict(bill)} for (key, model), bill in sorted(self.bills.items())]
        names = list(asdict(Bill()))
        return {"total": {name: sum(row[name] for row in rows) for name in names}, "by": rows}


def short(prompt: str) -> str:
    return prompt[:_LONGEST_PROMPT]
