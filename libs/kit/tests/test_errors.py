"""An error says the same after it travelled."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix.common.v1 import errors_pb2
from omnix_kit.convert import error_from_proto, error_to_proto
from omnix_kit.errors import CallerError, OmnixError, PlatformError, ProviderError, Reason, error_for


@given(
    st.sampled_from(Reason),
    st.text(max_size=50),
    st.none() | st.text(min_size=1, max_size=20),
    st.none() | st.sampled_from(["openai", "bedrock"]),
    st.none() | st.integers(100, 599),
    st.none() | st.timedeltas(timedelta(0), timedelta(days=1)),
)
def test_error_in_a_message_comes_back_whole(
    reason: Reason, message: str, param: str | None, provider: str | None, status: int | None, retry: timedelta | None
) -> None:
    error = error_for(reason, message, param=param, provider=provider, provider_status=status, retry_after=retry)
    back = error_from_proto(errors_pb2.Error.FromString(error_to_proto(error).SerializeToString()))
    assert (type(back), vars(back)) == (type(error), vars(error))


def test_reason_of_a_newer_version_becomes_internal() -> None:
    assert error_from_proto(errors_pb2.Error(reason=12345, message="?")).reason is Reason.INTERNAL  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "provider", "kind"),
    [
        (Reason.INVALID_REQUEST, None, CallerError),
        (Reason.RATE_LIMITED, None, CallerError),
        (Reason.RATE_LIMITED, "openai", ProviderError),
        (Reason.PROVIDER_CUT, None, ProviderError),
        (Reason.DEADLINE_EXCEEDED, "openai", PlatformError),
    ],
)
def test_class_says_who_must_act(reason: Reason, provider: str | None, kind: type[OmnixError]) -> None:
    assert type(error_for(reason, "", provider=provider)) is kind
