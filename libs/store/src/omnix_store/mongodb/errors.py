"""The driver's exceptions in the port's words, told apart by type and code."""

from collections.abc import Iterator
from contextlib import contextmanager

from bson.errors import BSONError
from pymongo import errors

from omnix_store.errors import (
    InvalidChangeError,
    InvalidDocumentError,
    StoreConfigurationError,
    StoreError,
    StoreTimeoutError,
    StoreUnavailableError,
)

BAD_VALUE = 2
TYPE_MISMATCH = 14
PATH_NOT_VIABLE = 28
_REFUSED = {13, 18, 8000}
_NOT_IMPLEMENTED = {59, 115, 168, 238, 15952, 40324}
_TOO_LARGE = {10334, 17280}


@contextmanager
def mongodb_errors() -> Iterator[None]:
    try:
        yield
    except errors.PyMongoError as exc:
        raise translated(exc) from exc
    except BSONError as exc:
        raise InvalidDocumentError(str(exc)) from exc


def translated(exc: errors.PyMongoError) -> StoreError:
    match exc:
        case errors.DocumentTooLarge():
            return InvalidDocumentError(str(exc))
        case errors.WTimeoutError() | errors.ExecutionTimeout() | errors.NetworkTimeout():
            return StoreTimeoutError(str(exc))
        case errors.ConfigurationError() | errors.InvalidURI():
            return StoreConfigurationError(str(exc))
        case errors.WriteError() if exc.code == BAD_VALUE or exc.code in _TOO_LARGE:
            return InvalidDocumentError(str(exc))
        case errors.OperationFailure() if exc.code in _REFUSED:
            return StoreConfigurationError(str(exc))
        case _:
            return StoreUnavailableError(str(exc))


def translated_change(exc: errors.OperationFailure) -> StoreError:
    """Say what a failed change of one document means; there, these codes are about the document."""
    if exc.code in {BAD_VALUE, TYPE_MISMATCH, PATH_NOT_VIABLE}:
        return InvalidChangeError(str(exc))
    if exc.code in _TOO_LARGE:
        return InvalidDocumentError(str(exc))
    return translated(exc)


def is_not_implemented(exc: errors.OperationFailure) -> bool:
    return exc.code in _NOT_IMPLEMENTED
