"""The promises of every adapter, held by this one against the sandbox."""

import pytest

pytest.register_assert_rewrite("omnix_provider.conformance")

from omnix_provider.conformance import *  # noqa: E402, F403

pytestmark = [pytest.mark.connected, pytest.mark.asyncio(loop_scope="module")]
