"""Writes `services/README.md`: the services, and what every vendor's adapter promises.

The table is the conformance suite's own declaration: its behaviours (`omnix_provider.conformance`) and the profile in
each adapter's `tests/conftest.py`. The suite holds every cell to it, so the page says what was tested.

    python -m scripts.conformance_table           write the page
    python -m scripts.conformance_table --check   say whether it is current
"""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import omnix_provider.conformance  # noqa: F401 - declares the behaviours
from omnix_provider.conformance.behaviours import BEHAVIOURS, Behaviour
from omnix_provider.profile import Profile

SERVICES = Path(__file__).parent.parent / "services"
PAGE = SERVICES / "README.md"
ADAPTERS = ("openai", "bedrock", "gemini", "huggingface")
ROWS = (
    ("gateway", "HTTP, `OMNIX_HTTP_PORT` (8080)", "the public API: OpenAI's paths, bodies and streams"),
    (
        "router",
        "gRPC, `OMNIX_GRPC_PORT`",
        "catalogue, selection, routes with their conditions and policies, circuits, retries, failover",
    ),
    ("adapter-openai", "gRPC, `OMNIX_GRPC_PORT`", "calls OpenAI and servers that speak its protocol"),
    ("adapter-bedrock", "gRPC, `OMNIX_GRPC_PORT`", "calls Amazon Bedrock"),
    ("adapter-gemini", "gRPC, `OMNIX_GRPC_PORT`", "calls Google Gemini, with a key or through Google Cloud"),
    (
        "adapter-huggingface",
        "gRPC, `OMNIX_GRPC_PORT`",
        "calls Hugging Face's inference providers and your own endpoints",
    ),
    ("accounts", "gRPC, `OMNIX_GRPC_PORT`", "tenants and keys"),
    ("usage-metering", "gRPC, `OMNIX_GRPC_PORT`", "the ledger: one entry for every attempt"),
    ("analytics", "gRPC, `OMNIX_GRPC_PORT`", "what attempts add up to, by minute, hour and day; optional"),
)


GROUPS = (
    "Conversations",
    "Answers",
    "Media",
    "Tools",
    "Form and sampling",
    "Reasoning",
    "Usage and caching",
    "Embeddings",
    "Failures",
    "Endings",
    "Operation",
)


class Footnotes:
    """Numbered in the order in which they are first needed; the same words are one note."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, words: str) -> str:
        number = self._numbers.setdefault(words, len(self._numbers) + 1)
        return f" [{number}](#note-{number})"

    def lines(self) -> Iterator[str]:
        for words, number in self._numbers.items():
            yield f'{number}. <a id="note-{number}"></a>{words[:1].upper()}{words[1:]}.'


def profiles() -> list[Profile]:
    """Of all adapters, as their tests have them."""
    return [_profile(SERVICES / f"adapter-{name}" / "tests" / "conftest.py") for name in ADAPTERS]


def is_refused(behaviour: Behaviour, profile: Profile) -> bool:
    return behaviour.name in profile.refused


def page() -> str:
    return "\n".join(_lines(list(BEHAVIOURS.values()), profiles())) + "\n"


def _profile(path: Path) -> Profile:
    spec = importlib.util.spec_from_file_location(f"conformance_of_{path.parts[-3].replace('-', '_')}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    profile: Profile = module.PROFILE
    return profile


def _lines(behaviours: Sequence[Behaviour], vendors: Sequence[Profile]) -> Iterator[str]:
    notes = Footnotes()
    refused = sum(is_refused(behaviour, vendor) for behaviour in behaviours for vendor in vendors)
    cells = len(behaviours) * len(vendors)
    yield "# The services"
    yield ""
    yield "<!-- Written by scripts/conformance_table.py. -->"
    yield ""
    yield "Each is deployed, scaled and replaced alone; they meet only in `protos` and on NATS subjects."
    yield "Health and metrics of each are at `OMNIX_OPS_PORT`. A port that is not set is a free one."
    yield ""
    yield "| service | listens on | what it does |"
    yield "|---|---|---|"
    for name, port, what in ROWS:
        yield f"| [{name}]({name}/README.md) | {port} | {what} |"
    yield ""
    yield "## Four vendors, one meaning"
    yield ""
    yield (
        "A caller changes the model's name and nothing else. What is asked means the same at every vendor, or is "
        "refused by the name of the parameter before the vendor hears of it."
    )
    yield ""
    yield (
        f"{len(behaviours)} behaviours × {len(vendors)} vendors are {cells} cells: {cells - refused} times the same "
        f"meaning, {refused} times refused by name. One suite, `omnix_provider.conformance`, holds every adapter to "
        "them: as a process, over gRPC and NATS, with the [sandbox](../libs/sandbox/README.md) speaking the vendor's "
        "format behind it. Answers are asked for whole and streamed, and must be equal; the vendor's own record must "
        "show what was asked, or that nothing was."
    )
    models = ", ".join(f"`{vendor.model}` ({vendor.title})" for vendor in vendors)
    yield f"Asked are {models}, or who is named in a note; failures and counts are ordered of the sandbox's own models."
    yield "What vendors' failures become at the gateway is in [another table](../tests/e2e/FAULTS.md)."
    for group in GROUPS:
        yield ""
        yield f"### {group}"
        yield ""
        yield f"| behaviour | {' | '.join(vendor.title for vendor in vendors)} |"
        yield "|---" * (len(vendors) + 1) + "|"
        for behaviour in behaviours:
            if behaviour.group == group:
                cells_of_row = " | ".join(_cell(behaviour, vendor, notes) for vendor in vendors)
                yield f"| {behaviour.title} | {cells_of_row} |"
    yield ""
    yield "### Notes"
    yield ""
    yield from notes.lines()


def _cell(behaviour: Behaviour, vendor: Profile, notes: Footnotes) -> str:
    name = behaviour.name
    if (refused := vendor.refused.get(name)) is not None:
        return f"refused: `{refused.param}`{notes.mark(refused.why)}"
    words = []
    if (told := vendor.told.get(name)) is not None:
        reason = f", told as `{told.reason}`" if told.reason is not None else ""
        words.append(f"{told.why}{reason}")
    if (proviso := vendor.provisos.get(name)) is not None:
        words.append(proviso)
    if (model := vendor.models.get(name)) is not None:
        words.append("asked of a model of the sandbox's own" if model.startswith("sandbox") else f"asked of `{model}`")
    return "same meaning" + "".join(notes.mark(each) for each in words)


def main(arguments: Sequence[str]) -> int:
    if "--check" in arguments:
        if PAGE.exists() and PAGE.read_text() == page():
            return 0
        sys.stderr.write(f"{PAGE} is not current: python -m scripts.conformance_table\n")
        return 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
