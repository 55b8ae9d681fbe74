"""Looking after a service's needs goes on whatever a look meets."""

import pytest
from omnix_kit.durable import watching
from omnix_kit.health import Readiness
from omnix_kit.testing import eventually


async def test_look_with_a_defect_is_told_and_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_LOOK_AGAIN_AFTER", 0.05)
    readiness = Readiness()
    fails = True

    async def look() -> str | None:
        if fails:
            raise KeyError("a defect")
        return None

    async with watching.watching("it", readiness, look):
        await eventually(lambda: "log" in readiness.lacking().get("it", ""))
        fails = False
        await eventually(lambda: readiness.lacking() == {})
