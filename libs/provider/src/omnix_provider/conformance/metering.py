"""What is counted, and what of the caller's words for it reaches the vendor."""

# ruff: noqa: S101 - these are tests

from google.protobuf.duration_pb2 import Duration
from omnix.usage.v1 import usage_pb2

from omnix_provider.conformance.asking import question, values, with_tools
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor

behaviour = group("Usage and caching")

BREAKPOINTS = ("cache_point", "prompt_cache_breakpoint")


@behaviour("cached tokens are part of the input")
async def test_cached_tokens(vendor: Vendor) -> None:
    answer = await vendor.answer(question("Again. [[cached=300]]"))
    assert answer.usage.cached_input_tokens == 300
    assert answer.usage.input_tokens >= 300


@behaviour("tokens written to a cache are part of the input")
async def test_cache_write_tokens(vendor: Vendor) -> None:
    """The proviso: the vendor does not tell them apart."""
    answer = await vendor.answer(question("For later. [[cached=100]] [[cache_write=200]]"))
    assert answer.usage.cache_write_input_tokens == (0 if vendor.has_proviso else 200)
    assert answer.usage.cached_input_tokens == 100
    assert answer.usage.input_tokens >= 300


@behaviour("reasoning tokens are part of the output")
async def test_reasoning_tokens(vendor: Vendor) -> None:
    """The proviso: the vendor does not tell them apart, so they are counted in the output alone."""
    answer = await vendor.answer(question("Think. [[reasoning=40]] [[tokens=10]]"))
    assert answer.usage.output_tokens == 50
    assert answer.usage.reasoning_tokens == (0 if vendor.has_proviso else 40)


@behaviour("a breakpoint of the prompt's cache")
async def test_cache_breakpoint(vendor: Vendor) -> None:
    """The proviso: the vendor keeps prefixes by itself, and is told nothing."""
    request = with_tools(question("And this?", system="A long instruction."), "weather")
    request.messages[0].parts[0].cache_breakpoint = True
    request.tools[0].cache_breakpoint = True
    answer = await vendor.answer(request)
    assert bool(values(answer.body, *BREAKPOINTS)) != vendor.has_proviso


@behaviour("a breakpoint that is to be kept for an hour")
async def test_long_cache_breakpoint(vendor: Vendor) -> None:
    """The proviso: the vendor keeps prefixes by itself, and is told nothing."""
    request = question("And this?", system="A long instruction.")
    request.messages[0].parts[0].cache_breakpoint = True
    request.messages[0].parts[0].cache_ttl.CopyFrom(Duration(seconds=3600))
    answer = await vendor.answer(request)
    assert bool(values(answer.body, *BREAKPOINTS)) != vendor.has_proviso
    assert values(answer.body, "ttl") in ([], ["1h"], ["12h"])


@behaviour("usage that does not come is estimated: {}", ["unary", "streamed"])
async def test_usage_missing(vendor: Vendor, case: str) -> None:
    made = vendor.attempt("tokens-20-no-usage")
    if case == "unary":
        usage = (await vendor.place.adapter.complete(made)).completion.usage
    else:
        streamed = await vendor.place.stream(made)
        assert streamed.end is not None
        assert not streamed.end.HasField("error")
        usage = streamed.end.usage
    event = await vendor.place.readers.usage_of(made)
    assert event.outcome == usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
    assert event.usage == usage
    assert usage.estimated
    assert usage.input_tokens > 0
    assert usage.output_tokens > 15


@behaviour("labels are kept with the usage entry")
async def test_labels(vendor: Vendor) -> None:
    request = question("Hello.")
    request.metadata["team"] = "blue"
    answer = await vendor.answer(request)
    assert dict(answer.event.metadata) == {"team": "blue"}


@behaviour("the end user's name reaches a vendor that has a place for it")
async def test_end_user(vendor: Vendor) -> None:
    """The proviso: the vendor has none."""
    request = question("Hello.")
    request.end_user = "user-7"
    answer = await vendor.answer(request)
    assert ("user-7" in answer.body) != vendor.has_proviso


@behaviour("one attempt is metered once")
async def test_metered_once(vendor: Vendor) -> None:
    answers = [await vendor.answer(question(f"Number {number}.")) for number in range(3)]
    ids = [answer.event.attempt_id for answer in answers]
    assert len(set(ids)) == 3
    for attempt_id in ids:
        assert sum(event.attempt_id == attempt_id for event in vendor.place.readers.usage) == 1


__all__ = [name for name in dir() if name.startswith("test_")]
