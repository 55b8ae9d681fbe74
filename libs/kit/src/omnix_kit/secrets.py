"""Text without what looks like a credential."""

import re

# Every repeat is bounded: the text may be a stranger's.
_SECRETS = re.compile(
    r"(sk-[A-Za-z0-9_-]{6})[A-Za-z0-9_-]{6,512}|(Bearer\s{1,4}\S{4})\S{1,2048}|(hf_\w{4})\w{6,128}|(AIza\w{4})[\w-]{6,128}"
    r"|(ABSK\w{4})[\w+/=]{6,512}|(ya29\.\w{4})[\w.-]{6,2048}"
    r"|(://[^:/@\s]{0,64}:)[^@\s]{1,256}(?=@)"
)
_MARKS = ("sk-", "://", "Bearer", "hf_", "AIza", "ABSK", "ya29.")


def without_secrets(text: str) -> str:
    """Shorten what looks like a credential. The last line of defence: secrets should not come here at all."""
    # The pattern costs more than the rest of a line, and cannot match without one of these.
    if any(mark in text for mark in _MARKS):
        return _SECRETS.sub(lambda found: next(group for group in found.groups() if group) + "…", text)
    return text
