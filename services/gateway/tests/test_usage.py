"""The ledger, as the API tells it."""

from omnix.completion.v1 import completion_pb2
from omnix.usage.v1 import usage_pb2, usage_service_pb2

from .conftest import Gateway, Start
from .fakes import ADMIN, Backends


async def test_usage_tells_one_entry_an_attempt(gateway: Gateway, start: Start, behind: Backends) -> None:
    entry = usage_pb2.UsageEntry(cost_micros=1234, currency="USD")
    entry.event.attempt_id, entry.event.completion_id = "a" * 32, "b" * 32
    entry.event.outcome = usage_pb2.ATTEMPT_OUTCOME_CANCELLED
    entry.event.usage.estimated = True
    entry.event.usage.output_tokens = 5
    entry.event.usage.long_cache_write_input_tokens = 3
    entry.event.usage.audio_input_tokens = 2
    entry.event.price.currency = "USD"
    entry.event.price.tiers.add(above_input_tokens=200_000)
    unpriced = usage_pb2.UsageEntry()
    unpriced.event.completion_id = "c" * 32
    unpriced.event.operation = usage_pb2.OPERATION_EMBEDDINGS
    unpriced.event.purpose = usage_pb2.PURPOSE_SHADOW
    behind.usage.answer = usage_service_pb2.ListUsageEntriesResponse(entries=[entry, unpriced], next_page_token="t")
    query = {
        "completion_id": f"chatcmpl-{'b' * 32}",
        "start_time": "2026-01-01T00:00:00Z",
        "limit": "2",
        "key_id": "admin",
    }
    told = (await gateway.http.get("/v1/usage", params=query)).json()
    assert (told["object"], told["has_more"], told["next_page_token"]) == ("list", True, "t")
    first, second = told["data"]
    assert (first["cost_micros"], first["cost"], first["estimated"], first["unpriced"]) == (
        1234,
        "0.001234",
        True,
        False,
    )
    assert (first["outcome"], first["completion_id"]) == ("cancelled", f"chatcmpl-{'b' * 32}")
    assert (first["operation"], first["long_cache_write_input_tokens"], first["audio_input_tokens"]) == ("chat", 3, 2)
    assert first["pricing"]["tiers"][0]["above_input_tokens"] == 200_000
    assert (second["operation"], second["completion_id"], second["pricing"]) == ("embeddings", f"embd-{'c' * 32}", None)
    assert (first["purpose"], second["purpose"]) == (None, "shadow")
    assert (second["cost_micros"], second["cost"], second["unpriced"]) == (None, None, True)
    asked = behind.usage.asked[0]
    assert (asked.filter.tenant_id, asked.filter.key_id, asked.filter.completion_id) == ("default", "member", "b" * 32)
    assert (asked.page_size, asked.filter.start_time.seconds) == (2, 1_767_225_600)
    headers = {"authorization": f"Bearer {ADMIN}"}
    await gateway.http.get("/v1/usage", headers=headers)
    assert (behind.usage.asked[1].filter.key_id, behind.usage.asked[1].page_size) == ("", 100)
    for purpose, wanted in (("answer", (True, 0)), ("shadow", (False, usage_pb2.PURPOSE_SHADOW))):
        await gateway.http.get("/v1/usage", params={"purpose": purpose})
        asked = behind.usage.asked[-1]
        assert (asked.filter.answers_only, asked.filter.purpose) == wanted
    everything = {
        "team_id": "t",
        "route": "fast",
        "outcome": "failed",
        "operation": "embeddings",
        "streamed": "false",
        "mode": "ultra-think",
        "estimated": "true",
        "unpriced": "false",
        "metadata.cost centre": "ü/1",
    }
    for path in ("/v1/usage", "/v1/usage/summary"):
        assert (await gateway.http.get(path, params=everything)).status_code == 200
        kept = behind.usage.asked[-1].filter if path == "/v1/usage" else behind.usage.summarized[-1].filter
        assert kept == usage_service_pb2.UsageFilter(
            tenant_id="default",
            key_id="member",
            team_id="t",
            route="fast",
            outcome=usage_pb2.ATTEMPT_OUTCOME_FAILED,
            operation=usage_pb2.OPERATION_EMBEDDINGS,
            streamed=False,
            compute_mode=completion_pb2.COMPUTE_MODE_ULTRA_THINK,
            estimated=True,
            unpriced=False,
            label=usage_service_pb2.Label(name="cost centre", value="ü/1"),
        )
    for bad, param in (
        ("limit=0", "limit"),
        ("metadata.a=1&metadata.b=2", "metadata"),
        ("outcome=lost", "outcome"),
        ("purpose=none", "purpose"),
        ("start_time=yesterday", "start_time"),
        ("colour=red", "colour"),
    ):
        refused = await gateway.http.get(f"/v1/usage?{bad}")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_usage_adds_up(gateway: Gateway, behind: Backends) -> None:
    summary = behind.usage.summary
    summary.totals.add(provider="openai", model="gpt-4o", currency="USD", attempts=2, cost_micros=5)
    summary.totals.add(provider="openai", model="gpt-4o", currency="USD", purpose=usage_pb2.PURPOSE_SHADOW)
    told = (await gateway.http.get("/v1/usage/summary")).json()
    assert told["data"][0]["cost"] == "0.000005"
    assert [each["purpose"] for each in told["data"]] == [None, "shadow"]
