"""The promises of every adapter, held by this one against the sandbox."""

import pytest
from omnix_provider.conformance import *  # noqa: F403

pytestmark = [pytest.mark.connected, pytest.mark.asyncio(loop_scope="module")]
