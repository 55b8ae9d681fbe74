"""Catalogues and names that the tests of pure modules share."""

from omnix_router.catalogue.models import Catalogue, Model
from omnix_router.naming import Names

SMALL = Model("openai", "gpt-4o-mini", context_window=128_000)
LARGE = Model("openai", "gpt-4.1", aliases=("gpt-large",), context_window=1_000_000, capabilities=("text",))
THINKER = Model("openai", "o3", context_window=200_000, capabilities=("text", "reasoning"))
SAME_HERE = Model("openai", "gpt-4o")
SAME_THERE = Model("azure", "gpt-4o")
ELSEWHERE = Model("gemini", "gemini-pro")

CATALOGUE = Catalogue({model.id: model for model in (SMALL, LARGE, THINKER, SAME_HERE, SAME_THERE, ELSEWHERE)})
NAMES = Names(CATALOGUE, frozenset({"openai", "azure", "ollama"}), frozenset({("ollama", "llama3"), ("ollama", "o3")}))
