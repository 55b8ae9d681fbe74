"""The beginning of an answer, which a vendor is given to go on from. Pure."""

from omnix_provider.errors import UnsupportedParameter
from omnix_provider.types import Attempt, CompletionRequest, FormatKind


def prefix_of(request: CompletionRequest, attempt: Attempt) -> str:
    """What the vendor is given; empty when it begins the answer itself.

    White space at its end stays out: some vendors refuse it, and the vendor may say it again.

    :raises UnsupportedParameter: for ``prefix``, of an answer that is held to JSON. Vendors hold to it what is
        generated and nothing before it, so a second JSON would begin inside the first; those that see it refuse it:
        https://platform.claude.com/docs/en/build-with-claude/structured-outputs, read 2026-11-22.
    """
    prefix = attempt.prefix.rstrip()
    form = request.response_format
    if prefix and form is not None and form.kind is not FormatKind.TEXT:
        raise unsupported_prefix("An answer that is held to JSON cannot be continued.")
    return prefix


def unsupported_prefix(why: str = "This provider cannot continue an answer.") -> UnsupportedParameter:
    return UnsupportedParameter(why, param="prefix")
