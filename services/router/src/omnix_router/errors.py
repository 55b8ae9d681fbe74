"""How a failed attempt is told to the policies and to the caller."""

from datetime import timedelta

from omnix_kit.errors import CallerError, OmnixError, PlatformError, ProviderError, Reason

from omnix_router.plugins.failing import is_of_plugin


class PrefixRefused(CallerError):
    """A target did not take the beginning of an answer; it may still begin anew."""


def silent(provider: str, waited: timedelta) -> ProviderError:
    """The provider said nothing, or its adapter did not say so in time."""
    return ProviderError(
        f"The provider {provider} sent nothing for {waited.total_seconds():g} s.",
        reason=Reason.PROVIDER_TIMEOUT,
        provider=provider,
    )


def too_late() -> PlatformError:
    return PlatformError("The deadline passed before there was an answer.", reason=Reason.DEADLINE_EXCEEDED)


def may_run_on(error: OmnixError) -> bool:
    """Whether the attempt may still be running at its adapter: the adapter itself did not say that it ended."""
    said_so = is_of_plugin(error)
    return not said_so and error.reason in (Reason.DEADLINE_EXCEEDED, Reason.UNAVAILABLE, Reason.INTERNAL)
