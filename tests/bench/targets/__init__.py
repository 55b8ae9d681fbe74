"""What is measured: each gateway started as its own documentation says, over the same upstream."""

from bench.targets.bare import Bare
from bench.targets.base import Endpoint, Running, Target, Upstream, first_answer
from bench.targets.litellm import LiteLLM
from bench.targets.omnix import OmniX
from bench.targets.portkey import Portkey

TARGETS: dict[str, Target] = {target.name: target for target in (OmniX(), LiteLLM(), Portkey(), Bare())}

__all__ = ["TARGETS", "Bare", "Endpoint", "Running", "Target", "Upstream", "first_answer"]
