"""Generate ``src/omnix`` from the repository's ``protos/`` before the wheel is built.

An sdist carries the generated stubs, because ``protos/`` lies outside this folder; building from one skips generation.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StubBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        protos = root.parent.parent / "protos"
        if protos.is_dir():
            generate(protos, root / "src")
        elif not (root / "src" / "omnix").is_dir():
            raise FileNotFoundError(f"neither {protos} nor generated stubs are here")


def generate(protos: Path, out: Path) -> None:
    """Write messages, gRPC stubs and their types for every file under ``protos`` into ``out``."""
    from grpc_tools import protoc

    shutil.rmtree(out / "omnix", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    bin_dir = Path(sys.executable).parent
    plugins = [f"--plugin=protoc-gen-{name}={_plugin(bin_dir, f'protoc-gen-{name}')}" for name in ("mypy", "mypy_grpc")]
    files = sorted(str(path) for path in protos.rglob("*.proto"))
    wellknown = Path(protoc.__file__).parent / "_proto"
    code = protoc.main(
        [
            "protoc",
            *plugins,
            f"-I{protos}",
            f"-I{wellknown}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out={out}",
            f"--mypy_grpc_out={out}",
            *files,
        ]
    )
    if code != 0:
        raise RuntimeError(f"protoc ended with status {code}")
    for folder in [out / "omnix", *(path for path in (out / "omnix").rglob("*") if path.is_dir())]:
        (folder / "__init__.py").touch()
    (out / "omnix" / "py.typed").touch()


def _plugin(bin_dir: Path, name: str) -> str:
    found = shutil.which(name, path=str(bin_dir)) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not beside the build's interpreter; mypy-protobuf provides it")
    return found
