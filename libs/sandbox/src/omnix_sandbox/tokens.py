"""The sandbox's own tokenizer: deterministic, and good enough to be billed by.

A token is a piece of text of at least four UTF-8 bytes (at most seven), cut short where white space or the end follows.
White space begins a new token, so `" Haus"` is one and a line break stands alone.
Cutting a text at a token's end leaves every token before the cut as it was.
"""

import re

_TOKEN = re.compile(
    r"""
      [\U00010000-\U0010ffff]
    | [\u0800-\uffff] \S?
    | [\u0080-\u07ff] (?: [\u0080-\U0010ffff] | [\x00-\x08\x0e-\x1f!-\x7f] \S? )?
    | [\x00-\x7f] (?:
          [\u0800-\U0010ffff]
        | [\u0080-\u07ff] \S?
        | [\x00-\x08\x0e-\x1f!-\x7f] (?: [\u0080-\U0010ffff] | [\x00-\x08\x0e-\x1f!-\x7f] \S? )?
      )?
    """,
    re.VERBOSE | re.ASCII,
)


def tokenize(text: str) -> list[str]:
    """Cut `text` into its tokens; joined they are the text again."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    return len(_TOKEN.findall(text))
