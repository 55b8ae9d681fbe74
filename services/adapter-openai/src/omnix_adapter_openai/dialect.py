"""How OpenAI itself is asked.

https://developers.openai.com/api/docs/guides/prompt-caching and the parameters of openai 3.54, read 2026-11-22.
"""

import re
from dataclasses import replace
from datetime import timedelta

from omnix_provider.chatcompletions.dialect import Dialect

OPENAI_PARAMETERS = frozenset(
    {
        "logit_bias",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "verbosity",
        "web_search_options",
    }
)
"""OpenAI's own parameters that need nothing of the answer's contract."""

OPENAI = Dialect(
    max_tokens_field="max_completion_tokens",
    developer_role=True,
    refusals=True,
    parameters=OPENAI_PARAMETERS,
    audio_formats=frozenset({"wav", "mp3"}),
)

_WITH_BREAKPOINTS = replace(OPENAI, cache_lifetimes=((timedelta(minutes=30), "30m"), (timedelta(hours=12), "12h")))
_NUMBERED = re.compile(r"(?:ft:)?gpt-(\d{1,4})(?:\.(\d{1,4}))?(?![\d.])")
_FIRST_WITH_BREAKPOINTS = (5, 6)


def openai_dialect(model: str) -> Dialect:
    """The dialect of one of OpenAI's models.

    From GPT-5.6 on a request may say where its prefix ends that is worth keeping; earlier models refuse the field, and
    keep prefixes by themselves.
    """
    found = _NUMBERED.match(model)
    if found is not None and (int(found[1]), int(found[2] or 0)) >= _FIRST_WITH_BREAKPOINTS:
        return _WITH_BREAKPOINTS
    return OPENAI
