import pytest
from omnix_sandbox.faults import Fault, FaultKind, parse_fault
from omnix_sandbox.steering import (
    NEUTRAL,
    Steering,
    SteeringError,
    ToolCall,
    steering_of_model,
    steering_of_text,
)


@pytest.mark.parametrize(
    ("model", "steering"),
    [
        ("gpt-4o", NEUTRAL),
        ("sandbox-chat", NEUTRAL),
        ("sandbox-team-429", NEUTRAL),
        ("sandbox-pace-10-first-500ms-tokens-200", Steering(pace=10, first=0.5, tokens=200)),
        ("sandbox-burst-echo", Steering(pace=0, echo=True)),
        ("sandbox-429-retry-2s", Steering(fault=Fault(FaultKind.STATUS, status=429, retry_after=2))),
        (
            "sandbox-429-retry-250ms",
            Steering(fault=Fault(FaultKind.STATUS, status=429, retry_after=0.25, retry_in_ms=True)),
        ),
        ("sandbox-cut-after-5-rst", Steering(fault=Fault(FaultKind.CUT, after=5, rst=True))),
        ("sandbox-stall-after-3-for-2s", Steering(fault=Fault(FaultKind.STALL, after=3, for_seconds=2))),
        ("sandbox-slow-2s-tokens-5", Steering(fault=Fault(FaultKind.SLOW, for_seconds=2), tokens=5)),
        ("sandbox-no-usage-tokens-5", Steering(fault=Fault(FaultKind.NO_USAGE), tokens=5)),
        ("sandbox-huge-size-64k", Steering(fault=Fault(FaultKind.HUGE, size=65536))),
    ],
)
def test_a_models_name_steers(model: str, steering: Steering) -> None:
    assert steering_of_model(model) == steering


@pytest.mark.parametrize(
    "model",
    [
        "sandbox-cut-aftr-5",
        "sandbox-tokens-many",
        "sandbox-429-retry",
        "sandbox-no-luck",
        "sandbox-429-500",
        "sandbox-999",
    ],
)
def test_a_models_name_that_is_half_understood_is_refused(model: str) -> None:
    with pytest.raises(SteeringError, match=model):
        steering_of_model(model)


def test_directives_are_taken_out_of_the_text() -> None:
    steering, text = steering_of_text("Grüezi [[tokens=20]] mitenand [[pace=10/s]][[clock]] [[unknown]] [[nothing=1]]")

    assert steering == Steering(tokens=20, pace=10, clock=True)
    assert text == "Grüezi  mitenand  [[unknown]] [[nothing=1]]"


def test_tool_directives_hold_any_json() -> None:
    steering, text = steering_of_text('[[tool=a {"city":"Zürich","m":[[1],[2]]}]][[tool=b]] go')

    assert steering.tools == (ToolCall("a", '{"city":"Zürich","m":[[1],[2]]}'), ToolCall("b"))
    assert text == "go"


@pytest.mark.parametrize(
    "text", ["[[tokens=x]]", "[[tokens=5", "[[tool=a {broken]]", "[[pace=fast]]", "[[fault=odd]]", "[[first=99h]]"]
)
def test_a_directive_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(SteeringError, match=r"directive \[\["):
        steering_of_text(text)


@pytest.mark.parametrize(
    "spec",
    [
        "429",
        "429-retry-2s",
        "503-retry-250ms",
        "cut-after-5-rst",
        "stall-after-3-for-500ms",
        "no-done",
        "huge-size-4096",
        "hang-done",
        "slow-for-1500ms",
    ],
)
def test_a_fault_is_written_as_it_is_read(spec: str) -> None:
    assert parse_fault(spec).spec() == spec
