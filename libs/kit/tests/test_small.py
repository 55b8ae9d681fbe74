"""Ids, durations, traces, logs."""

import json
import logging
import time
from datetime import timedelta

import pytest
from omnix_kit import telemetry
from omnix_kit.ids import is_id, uuid7
from omnix_kit.logs import JsonFormatter, request_id
from omnix_kit.secrets import without_secrets
from omnix_kit.settings import duration_text, parse_duration


def test_ids_are_version_7_distinct_and_in_order() -> None:
    ids = [uuid7() for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert all(is_id(one) and one[12] == "7" and one[16] in "89ab" for one in ids)


@pytest.mark.parametrize("text", ["", "x" * 32, "A" * 32, "0" * 31, "*" * 32])
def test_what_is_no_id_is_told(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("5s", 5), ("1.5m", 90), ("2h", 7200), ("10", 10), (" 3s ", 3)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1d", "1 s"])
def test_bad_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(hours=2), "2h"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(milliseconds=250), "250ms"),
        (timedelta(microseconds=1), "0.001000ms"),
    ],
)
def test_durations_are_written_as_people_write_them_and_read_back(duration: timedelta, text: str) -> None:
    assert duration_text(duration) == text
    assert parse_duration(text) == duration


def test_trace_goes_on_where_the_caller_is_and_begins_where_the_header_is_bad() -> None:
    parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    assert telemetry.adopt(parent).traceparent == parent
    assert telemetry.current_trace() == telemetry.Trace("a" * 32, "b" * 16, "01")
    for bad in (None, "", "00-zz", "00-" + "0" * 32 + "-" + "b" * 16 + "-01"):
        assert telemetry.adopt(bad).trace_id not in ("a" * 32, "0" * 32)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("key sk-omnix-abcdefghijklmnop", "sk-omnix-…"),
        ("Authorization: Bearer abcdefgh", "Bearer abcd…"),
        ("key hf_abcdefghijklmnop", "hf_abcd…"),
        ("key AIzaabcdefghijklmnop", "AIzaabcd…"),
        ("key ABSKabcdefghijklmnop==", "ABSKabcd…"),
        ("token ya29.abcdefghijklmnop", "ya29.abcd…"),
        ("mongodb://user:secret@host/db", "mongodb://user:…@host/db"),
    ],
)
def test_what_looks_like_a_credential_is_shortened(text: str, kept: str) -> None:
    assert kept in without_secrets(text)
    assert not any(secret in without_secrets(text) for secret in ("klmnop", "secret"))


def test_log_line_is_json_with_ids_and_extra_fields() -> None:
    telemetry.adopt(None)
    request_id.set("req-1")
    record = logging.LogRecord("a.b", logging.WARNING, __file__, 1, "hello %s", ("you",), None)
    record.attempt = 3
    line = json.loads(JsonFormatter("router").format(record))
    trace = telemetry.current_trace()
    assert trace is not None
    assert {key: line[key] for key in line.keys() - {"time"}} == {
        "level": "warning",
        "service": "router",
        "logger": "a.b",
        "message": "hello you",
        "request_id": "req-1",
        "trace_id": trace.trace_id,
        "attempt": 3,
    }


@pytest.mark.parametrize("text", ["/" + "://a:" * 4000, "sk-" * 10_000, "Bearer " * 5000, "x://a:" + "b" * 100_000])
def test_looking_for_credentials_costs_no_more_than_the_length(text: str) -> None:
    began = time.process_time()
    without_secrets(text)
    assert time.process_time() - began < 1
