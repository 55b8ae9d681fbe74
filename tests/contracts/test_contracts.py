"""What peers of another version rely on stays, and the rules that say so can fail."""

import json
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from omnix.common.v1 import errors_pb2
from omnix_kit.errors import MEANINGS, Reason

from scripts.proto_rules import RECORD, compile_protos, problems_of_change, problems_of_style, record_of


@pytest.fixture(scope="module")
def files() -> list[FileDescriptorProto]:
    return compile_protos()


def test_nothing_recorded_was_removed_renumbered_or_retyped(files: list[FileDescriptorProto]) -> None:
    assert list(problems_of_change(json.loads(RECORD.read_text()), record_of(files))) == []


def test_every_contract_keeps_the_rules(files: list[FileDescriptorProto]) -> None:
    assert [problem for file in files for problem in problems_of_style(file)] == []


def test_reasons_are_the_same_in_proto_and_code() -> None:
    in_proto = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.DESCRIPTOR.values_by_name} - {
        "UNSPECIFIED"
    }
    assert in_proto == {reason.value for reason in Reason} == {reason.value for reason in MEANINGS}


BROKEN = """
syntax = "proto3";
package omnix.thing.v1;
import "google/protobuf/timestamp.proto";
message Thing {
  google.protobuf.Timestamp created = 1;
  // Said.
  string badName = 2;
}
// Said.
enum Kind {
  // Said.
  KIND_FIRST = 0;
}
// Said.
service Things {
  // Said.
  rpc Get(Thing) returns (Thing);
}
"""


def test_rules_find_what_breaks_them(tmp_path: Path) -> None:
    folder = tmp_path / "omnix" / "thing" / "v1"
    folder.mkdir(parents=True)
    (folder / "thing.proto").write_text(BROKEN)
    [file] = compile_protos(tmp_path)
    assert list(problems_of_style(file)) == [
        "omnix/thing/v1/thing.proto: a file with a service ends in _service.proto",
        "omnix.thing.v1.Thing: say what it represents",
        "omnix.thing.v1.Thing.created: say what it represents",
        "omnix.thing.v1.Thing.created: a Timestamp's name ends in _time",
        "omnix.thing.v1.Thing.badName: fields are lower_snake_case",
        "omnix.thing.v1.Kind: the first value is KIND_UNSPECIFIED = 0",
        "omnix.thing.v1.Things: a service's name ends in Service",
        "omnix.thing.v1.Things.Get: it has its own GetRequest",
        "omnix.thing.v1.Things.Get: it has its own GetResponse",
    ]


def test_removed_and_retyped_fields_are_found() -> None:
    recorded = {"a.B.c": "1 optional TYPE_STRING", "a.B.d": "2 optional TYPE_INT64"}
    assert list(problems_of_change(recorded, {"a.B.d": "3 optional TYPE_INT64", "a.B.e": "4 optional TYPE_BOOL"})) == [
        "a.B.c: was removed; deprecate and reserve it instead",
        "a.B.d: was changed from `2 optional TYPE_INT64` to `3 optional TYPE_INT64`",
    ]
