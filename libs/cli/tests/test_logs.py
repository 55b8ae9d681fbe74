"""Logs: read as one, followed across a rotation, kept small."""

import json
from pathlib import Path

import pytest
from omnix_cli import logfiles, logs
from omnix_cli.errors import UsageError
from omnix_cli.places import DataDir

NATS = "[12] 2026/01/02 03:04:06.500000 [WRN] Readloop processing time"


def line(second: float, message: str, **more: object) -> str:
    return json.dumps({"time": f"2026-01-02T03:04:{second:06.3f}+00:00", "level": "info", "message": message, **more})


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    found = DataDir.at(tmp_path / "suite")
    found.make()
    return found


def test_logs_are_merged_by_time_and_lines_without_one_stay_behind_theirs(data: DataDir) -> None:
    data.log("gateway").write_text(f"{line(5, 'first')}\nTraceback\n  deep inside\n{line(7, 'last')}\n")
    data.log("nats").write_text(f"{NATS}\n")
    found = logs.last(data, ["gateway", "nats"], 50)
    assert [each.message for each in found] == [
        "first",
        "Traceback",
        "  deep inside",
        "Readloop processing time",
        "last",
    ]
    assert found[3].level == "warning"
    assert [each.message for each in logs.last(data, ["gateway", "nats"], 2)] == ["Readloop processing time", "last"]


def test_line_is_shown_with_its_fields_and_its_exception() -> None:
    read = logs.read(line(5, "failed", port=1, peer="router", exception="Boom\n  at sea"), "gateway", 0)
    shown = logs.pretty(read, 10).plain
    assert shown.partition(" ")[2] == "gateway    failed port=1 peer=router\nBoom\n  at sea"


def test_lines_that_are_no_json_become_json() -> None:
    assert json.loads(logs.as_json(logs.read(NATS, "nats", 0))) == {
        "time": "2026-01-02T03:04:06.500+00:00",
        "level": "warning",
        "service": "nats",
        "message": "Readloop processing time",
    }


def test_following_survives_a_rotation_and_waits_for_whole_lines(data: DataDir) -> None:
    log = data.log("gateway")
    log.write_text("old\n")
    following = logs.follow(data, ["gateway"], logs.ends(data, ["gateway"]))
    with log.open("a") as file:
        file.write("one\nha")
    assert next(following).message == "one"
    with log.open("a") as file:
        file.write("lf\n")
    assert next(following).message == "half"
    with log.open("ab") as file:
        logfiles.rotate(log, max_bytes=1)
        file.write(b"new\n")  # the writer's descriptor stays good
    assert next(following).message == "new"
    assert logfiles.older(log).read_text() == "old\none\nhalf\n"
    assert [each.message for each in logs.last(data, ["gateway"], 3)] == ["one", "half", "new"]


def test_short_logs_are_not_rotated(data: DataDir) -> None:
    log = data.log("gateway")
    log.write_text("a\n")
    logfiles.rotate(log)
    logfiles.rotate(data.log("absent"))
    assert (log.read_text(), logfiles.older(log).exists()) == ("a\n", False)


def test_tail_reads_long_files_from_their_end(data: DataDir) -> None:
    log = data.log("gateway")
    log.write_text("".join(f"{number} {'x' * 100}\n" for number in range(10_000)))
    assert [text.split()[0] for text in logfiles.tail(log, 3)] == ["9997", "9998", "9999"]
    assert len(logfiles.tail(log, 100_000)) == 10_000
    assert logfiles.tail(log, 5, start=logfiles.size(log)) == []


def test_unknown_service_is_refused_with_the_known_ones(data: DataDir) -> None:
    data.log("gateway").touch()
    with pytest.raises(UsageError, match="there is no log of ledger; there are gateway"):
        logs.names(data, "ledger")
