"""The catalogue's commands: they need no running suite, and write where its router reads."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def omnix(tmp_path: Path) -> "Omnix":
    return Omnix(tmp_path)


class Omnix:
    """The command, in an empty directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.imported = folder / ".omnix" / "data" / "router" / "imported-catalogue.json"

    def __call__(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OMNIX_")}
        command = [sys.executable, "-m", "omnix_cli", "catalogue", *words]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def map(self, **prices: float) -> str:
        entries = {
            name.replace("_", "-"): {
                "litellm_provider": "openai",
                "mode": "chat",
                "input_cost_per_token": price,
                "output_cost_per_token": price,
            }
            for name, price in prices.items()
        }
        (self.folder / "-map.json").write_text(json.dumps(entries))
        return "-map.json"


def test_import_shows_what_changes_and_writes_where_the_suites_router_reads(omnix: Omnix) -> None:
    first = omnix("import", "--", omnix.map(brand_new=1e-06))
    assert (first.returncode, first.stderr) == (0, "")
    assert "new      openai/brand-new" in first.stdout
    assert omnix.imported.exists()
    # Keys will lie in the same directory.
    assert stat.S_IMODE((omnix.folder / ".omnix").stat().st_mode) == 0o700

    dry = omnix("import", "--dry-run", "--", omnix.map(brand_new=2e-06))
    assert "changed  openai/brand-new: input 1 → 2, output 1 → 2" in dry.stdout
    shown = json.loads(omnix("show", "brand-new", "--json").stdout)
    assert [price["input"] for price in shown[0]["prices"]] == [1_000_000]


def test_refused_import_ends_with_its_code_and_one_sentence(omnix: Omnix) -> None:
    assert omnix("import", "--", omnix.map(brand_new=1e-06)).returncode == 0
    refused = omnix("import", "--", omnix.map(brand_new=1e-03))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("omnix: nothing was imported: ")
    assert refused.stderr.endswith("prices changed a hundredfold or more: openai/brand-new\n")
    assert omnix("import", "--force", "--", omnix.map(brand_new=1e-03)).returncode == 0


def test_show_without_anything_imported_tells_the_packages_data(omnix: Omnix) -> None:
    shown = omnix("show", "gpt-4o-mini")
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (0, "openai/gpt-4o-mini")
    assert not (omnix.folder / ".omnix").exists()
    assert omnix("show", "no-such-model").returncode == 1
    assert omnix("refresh").returncode == 2
