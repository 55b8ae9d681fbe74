"""The promises that every adapter keeps, as tests over a real process, a real NATS server and the sandbox.

An adapter's suite imports the tests of this package by ``*`` and provides three fixtures of module scope: ``place``, a
``Place`` whose adapter calls the sandbox; ``sandbox``, which runs with ``keep_requests``; and ``profile``, in what the
vendor lawfully differs. Every promise is kept with one and the same meaning, or what it asks for is refused by name
before the vendor hears of it. ``behaviours.BEHAVIOURS`` has them all, for the table of the vendors.
"""

from omnix_provider.conformance.answers import *  # noqa: F403
from omnix_provider.conformance.continuing import *  # noqa: F403
from omnix_provider.conformance.conversations import *  # noqa: F403
from omnix_provider.conformance.embeddings import *  # noqa: F403
from omnix_provider.conformance.endings import *  # noqa: F403
from omnix_provider.conformance.failures import *  # noqa: F403
from omnix_provider.conformance.forms import *  # noqa: F403
from omnix_provider.conformance.media import *  # noqa: F403
from omnix_provider.conformance.metering import *  # noqa: F403
from omnix_provider.conformance.operation import *  # noqa: F403
from omnix_provider.conformance.reasoning import *  # noqa: F403
from omnix_provider.conformance.tools import *  # noqa: F403
from omnix_provider.conformance.vendor import vendor as vendor
