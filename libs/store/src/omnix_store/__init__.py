"""Document collections in SQLite (embedded) or MongoDB, behind one port."""

from omnix_store.errors import (
    DuplicateKeyError,
    InvalidChangeError,
    InvalidDocumentError,
    InvalidPageTokenError,
    InvalidQueryError,
    InvalidRequestError,
    StoreConfigurationError,
    StoreDamagedError,
    StoreError,
    StoreOverloadedError,
    StoreTimeoutError,
    StoreUnavailableError,
)
from omnix_store.opening import open_store
from omnix_store.port import Bucket, Change, Collection, Index, Page, Store, Total, Totals, index, unique
from omnix_store.query import In, Not, Range, Where
from omnix_store.values import Document, Scalar

__all__ = [
    "Bucket",
    "Change",
    "Collection",
    "Document",
    "DuplicateKeyError",
    "In",
    "Index",
    "InvalidChangeError",
    "InvalidDocumentError",
    "InvalidPageTokenError",
    "InvalidQueryError",
    "InvalidRequestError",
    "Not",
    "Page",
    "Range",
    "Scalar",
    "Store",
    "StoreConfigurationError",
    "StoreDamagedError",
    "StoreError",
    "StoreOverloadedError",
    "StoreTimeoutError",
    "StoreUnavailableError",
    "Total",
    "Totals",
    "Where",
    "index",
    "open_store",
    "unique",
]
