"""The ledger as a file."""

import csv
import json
from io import StringIO

import httpx
import pytest
from omnix.usage.v1 import usage_pb2, usage_service_pb2
from omnix_kit.errors import PlatformError, Reason
from omnix_kit.testing import eventually

from .conftest import Gateway, Start
from .fakes import Backends


def page(number: int, entries: int = 50) -> usage_service_pb2.ListUsageEntriesResponse:
    made = usage_service_pb2.ListUsageEntriesResponse()
    for at in range(entries):
        entry = made.entries.add(cost_micros=number, currency="USD")
        entry.event.attempt_id, entry.event.completion_id = f"{number:016x}{at:016x}", "b" * 32
        entry.event.caller.user_id = 'a "quoted",\nuser\u2028'
        entry.event.metadata["job"] = "naïve"
        entry.former_ratings.add(currency="USD", rule_id="gold")
        entry.event.outcome = usage_pb2.ATTEMPT_OUTCOME_SUCCEEDED
    return made


def ledger_of(behind: Backends, pages: int, breaks_at: int = -1, entries: int = 50) -> None:
    def told(request: usage_service_pb2.ListUsageEntriesRequest) -> usage_service_pb2.ListUsageEntriesResponse:
        number = int(request.page_token or 0)
        if number == breaks_at:
            raise PlatformError("The ledger is away.", reason=Reason.UNAVAILABLE)
        made = page(number, entries)
        made.next_page_token = str(number + 1) if number + 1 < pages else ""
        return made

    behind.usage.tell = told


async def test_export_has_every_page_as_json_lines_and_as_csv(gateway: Gateway, behind: Backends) -> None:
    ledger_of(behind, 3)
    answer = await gateway.http.get("/v1/usage/export", params={"model": "m", "metadata.job": "naïve"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jsonl")
    assert answer.headers["transfer-encoding"] == "chunked"
    lines = [json.loads(line) for line in answer.content.split(b"\n")[:-1]]
    assert [line["id"] for line in lines] == [each.event.attempt_id for n in range(3) for each in page(n).entries]
    asked = behind.usage.asked[-1].filter
    assert (asked.tenant_id, asked.key_id, asked.model, asked.label.value) == ("default", "member", "m", "naïve")

    rows = await gateway.http.get("/v1/usage/export", params={"format": "csv"})
    assert rows.headers["content-type"] == "text/csv; charset=utf-8"
    head, *told = csv.reader(StringIO(rows.content.decode(), newline=""))
    assert len(told) == 150
    last = dict(zip(head, told[-1], strict=True))
    assert (last["id"], last["user_id"], last["cost"]) == (lines[-1]["id"], lines[-1]["user_id"], "0.000002")
    assert json.loads(last["former_ratings"])[0]["rule_id"] == "gold"
    assert (json.loads(last["metadata"]), last["unpriced"], last["error"]) == ({"job": "naïve"}, "false", "")


async def test_empty_export_is_a_head_or_nothing(gateway: Gateway, behind: Backends) -> None:
    assert (await gateway.http.get("/v1/usage/export")).content == b""
    assert (await gateway.http.get("/v1/usage/export?format=csv")).content.startswith(b"id,completion_id,")


@pytest.mark.parametrize(
    ("query", "param"), [("format=parquet", "format"), ("format=xml", "format"), ("limit=5", "limit"), ("x=1", "x")]
)
async def test_what_cannot_be_exported_is_refused(gateway: Gateway, query: str, param: str) -> None:
    refused = await gateway.http.get(f"/v1/usage/export?{query}")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_export_that_cannot_begin_is_refused_and_one_that_cannot_go_on_breaks(
    gateway: Gateway, behind: Backends
) -> None:
    ledger_of(behind, 3, breaks_at=0)
    assert (await gateway.http.get("/v1/usage/export")).status_code == 503
    ledger_of(behind, 3, breaks_at=2)
    got = bytearray()

    async def read() -> None:
        async with gateway.http.stream("GET", "/v1/usage/export") as answer:
            async for part in answer.aiter_bytes():
                got.extend(part)

    with pytest.raises(httpx.RemoteProtocolError):
        await read()
    assert got.count(b"\n") == 100


async def test_client_that_leaves_ends_the_export(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start()
    ledger_of(behind, 1_000_000, entries=250)
    async with gateway.http.stream("GET", "/v1/usage/export") as answer:
        async for _ in answer.aiter_bytes():
            break
    count = -1

    async def asks_no_more() -> bool:
        nonlocal count
        before, count = count, len(behind.usage.asked)
        return before == count

    await eventually(asks_no_more)
    assert count < 500


async def test_only_so_many_are_exported_at_once(gateway: Gateway, behind: Backends) -> None:
    ledger_of(behind, 1_000_000, entries=250)
    answers = [
        await gateway.http.send(gateway.http.build_request("GET", "/v1/usage/export"), stream=True) for _ in range(8)
    ]
    try:
        refused = await gateway.http.get("/v1/usage/export")
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    finally:
        for answer in answers:
            await answer.aclose()

    async def lets_in() -> bool:
        async with gateway.http.stream("GET", "/v1/usage/export") as again:
            return again.status_code == 200

    await eventually(lets_in)
