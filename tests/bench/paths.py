"""Where the harness finds and leaves things."""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
BENCH = ROOT / ".bench"
"""Environments of the other gateways, logs and results; ignored by git, safe to delete."""
RESULTS = BENCH / "results"
LOGS = BENCH / "logs"


def uv() -> str | None:
    """The uv to install with: the one on the PATH, or the one ``make setup`` brought."""
    local = ROOT / ".tools" / "bin" / "uv"
    return shutil.which("uv") or (str(local) if os.access(local, os.X_OK) else None)
