"""The rules for contracts: what a .proto file must say, and that what was said before stays.

Checks the style of buf's STANDARD and of AIP naming as far as OmniX uses them, and compares every field with the
record in ``tests/contracts/recorded.json``: nothing may be removed, renumbered or retyped. ``--record`` writes the
record anew; it refuses while something recorded would be lost.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
RECORD = ROOT / "tests" / "contracts" / "recorded.json"

Record = dict[str, str]
"""Full name of a field, enum value or method to what must not change about it."""


def compile_protos(protos: Path = PROTOS) -> list[FileDescriptorProto]:
    files = sorted(str(path) for path in protos.rglob("*.proto"))
    wellknown = Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "all.binpb"
        code = protoc.main(
            ["protoc", f"-I{protos}", f"-I{wellknown}", "--include_source_info", f"--descriptor_set_out={out}", *files]
        )
        if code != 0:
            raise SystemExit(code)
        return list(FileDescriptorSet.FromString(out.read_bytes()).file)


def problems_of_style(file: FileDescriptorProto) -> Iterator[str]:
    """Say what breaks the rules, with the name it concerns."""
    where = file.name
    package = ".".join(Path(where).parent.parts)
    if file.package != package:
        yield f"{where}: the package must be {package}, as the folder"
    if not re.fullmatch(r"omnix\.[a-z]+\.v\d+", file.package):
        yield f"{where}: the package must read omnix.<area>.v<number>"
    if file.service and not where.endswith("_service.proto"):
        yield f"{where}: a file with a service ends in _service.proto"
    commented = {
        tuple(location.path) for location in file.source_code_info.location if location.leading_comments.strip()
    }
    for index, message in enumerate(file.message_type):
        yield from _message(message, file.package, (4, index), commented)
    for index, enum in enumerate(file.enum_type):
        yield from _enum(enum, file.package, (5, index), commented)
    for index, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        if not service.name.endswith("Service"):
            yield f"{name}: a service's name ends in Service"
        if (6, index) not in commented:
            yield f"{name}: say what it represents"
        for number, method in enumerate(service.method):
            if (6, index, 2, number) not in commented:
                yield f"{name}.{method.name}: say what it does"
            for suffix, used in (("Request", method.input_type), ("Response", method.output_type)):
                if used != f".{file.package}.{method.name}{suffix}":
                    yield f"{name}.{method.name}: it has its own {method.name}{suffix}"


def _message(
    message: DescriptorProto, scope: str, path: tuple[int, ...], commented: set[tuple[int, ...]]
) -> Iterator[str]:
    if message.options.map_entry:
        return
    name = f"{scope}.{message.name}"
    if path not in commented:
        yield f"{name}: say what it represents"
    for index, field in enumerate(message.field):
        if (*path, 2, index) not in commented:
            yield f"{name}.{field.name}: say what it represents"
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", field.name):
            yield f"{name}.{field.name}: fields are lower_snake_case"
        if field.type_name == ".google.protobuf.Timestamp" and not field.name.endswith("_time"):
            yield f"{name}.{field.name}: a Timestamp's name ends in _time"
    for index, nested in enumerate(message.nested_type):
        yield from _message(nested, name, (*path, 3, index), commented)
    for index, enum in enumerate(message.enum_type):
        yield from _enum(enum, name, (*path, 4, index), commented)


def _enum(
    enum: EnumDescriptorProto, scope: str, path: tuple[int, ...], commented: set[tuple[int, ...]]
) -> Iterator[str]:
    name = f"{scope}.{enum.name}"
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    if path not in commented:
        yield f"{name}: say what it represents"
    for index, value in enumerate(enum.value):
        if not value.name.startswith(prefix):
            yield f"{name}.{value.name}: its name begins with {prefix}"
        if (*path, 2, index) not in commented:
            yield f"{name}.{value.name}: say what it represents"
    if enum.value[0].name != f"{prefix}UNSPECIFIED" or enum.value[0].number != 0:
        yield f"{name}: the first value is {prefix}UNSPECIFIED = 0"


def record_of(files: list[FileDescriptorProto]) -> Record:
    """What peers rely on: numbers and types of fields, numbers of enum values, shapes of methods."""
    record: Record = {}

    def add(message: DescriptorProto, scope: str) -> None:
        name = f"{scope}.{message.name}"
        for field in message.field:
            kind = field.type_name.lstrip(".") or FieldDescriptorProto.Type.Name(field.type)
            label = FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower()
            record[f"{name}.{field.name}"] = f"{field.number} {label} {kind}"
        for nested in message.nested_type:
            add(nested, name)
        for enum in message.enum_type:
            add_enum(enum, name)

    def add_enum(enum: EnumDescriptorProto, scope: str) -> None:
        for value in enum.value:
            record[f"{scope}.{enum.name}.{value.name}"] = str(value.number)

    for file in files:
        for message in file.message_type:
            add(message, file.package)
        for enum in file.enum_type:
            add_enum(enum, file.package)
        for service in file.service:
            for method in service.method:
                kinds = f"{method.input_type.lstrip('.')} {method.output_type.lstrip('.')}"
                record[f"{file.package}.{service.name}.{method.name}"] = (
                    f"{kinds} {method.client_streaming} {method.server_streaming}"
                )
    return record


def problems_of_change(recorded: Record, now: Record) -> Iterator[str]:
    for name, shape in recorded.items():
        if name not in now:
            yield f"{name}: was removed; deprecate and reserve it instead"
        elif now[name] != shape:
            yield f"{name}: was changed from `{shape}` to `{now[name]}`"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--record", action="store_true", help="write the record anew")
    wanted = arguments.parse_args()
    files = compile_protos()
    now = record_of(files)
    recorded: Record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    problems = [problem for file in files for problem in problems_of_style(file)]
    problems += problems_of_change(recorded, now)
    if wanted.record and not problems:
        RECORD.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
        recorded = now
    if new := sorted(now.keys() - recorded.keys()):
        problems.append(f"{len(new)} names are not recorded yet, {new[0]} the first; run `make contracts`")
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.stdout.write(f"{len(files)} contract files, {len(now)} recorded names, {len(problems)} problems\n")
    raise SystemExit(1 if problems else 0)


if __name__ == "__main__":
    main()
