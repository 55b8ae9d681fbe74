"""What can go wrong with a store, sorted by who must act.

StoreError
├── StoreConfigurationError   the operator: wrong URL, refused credentials, a key that cannot be made unique
├── StoreDamagedError         the operator: restore the file, do not retry
├── StoreUnavailableError     nobody: the same call may work later
│   ├── StoreOverloadedError  the caller slows down; nothing was written
│   └── StoreTimeoutError     the caller repeats only what a unique key or a condition makes safe to repeat
├── DuplicateKeyError         the caller: the document is already there
└── InvalidRequestError       the programmer: the call can never work
    ├── InvalidDocumentError
    ├── InvalidChangeError
    └── InvalidQueryError
        └── InvalidPageTokenError  the client that sent the token
"""


class StoreError(Exception):
    """Anything a store reports."""


class StoreConfigurationError(StoreError):
    """The store cannot be used as configured; waiting does not help."""


class StoreDamagedError(StoreError):
    """The stored data cannot be read: it is not a store, or it was damaged."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached or cannot write just now.

    Whether a write that ended like this was applied is unknown, except where a subclass says so.
    """


class StoreOverloadedError(StoreUnavailableError):
    """More operations are waiting than the store's bound allows; this one was not started."""


class StoreTimeoutError(StoreUnavailableError):
    """The operation did not end in time; whether a write was applied is unknown."""


class DuplicateKeyError(StoreError):
    """A unique key is already taken.

    ``key`` holds the fields of that key as they were declared, ``("id",)`` for the document's id.
    """

    def __init__(self, collection: str, key: tuple[str, ...]) -> None:
        super().__init__(f"{collection}: a document with the same {', '.join(key)} exists")
        self.collection = collection
        self.key = key


class InvalidRequestError(StoreError, ValueError):
    """The call itself is wrong, whatever the store holds."""


class InvalidDocumentError(InvalidRequestError):
    """The document cannot be stored; the message names the field and the reason."""


class InvalidChangeError(InvalidRequestError):
    """The change does not fit the document, as adding to a text does not."""


class InvalidQueryError(InvalidRequestError):
    """A field name, condition, sort or limit is not allowed."""


class InvalidPageTokenError(InvalidQueryError):
    """The page token was not made by this query, or was altered."""
