"""What is said of one operation."""

from dataclasses import dataclass, field

from msgspec import Struct


@dataclass(frozen=True)
class Header:
    name: str
    description: str


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    answer: type[Struct] | None = None
    body: type[Struct] | None = None
    query: type[Struct] | None = None
    status: int = 200
    errors: tuple[int, ...] = ()
    description: str = ""
    streamed: bool = False
    events: type[Struct] | None = None
    """What the data of each event is, where a stream is not one of chunks."""
    files: tuple[str, ...] = ()
    """Media types of an answer that is a file."""
    is_open: bool = False
    headers: tuple[Header, ...] = ()
    answer_headers: tuple[Header, ...] = ()
    path_parameters: dict[str, str] = field(default_factory=dict)
