"""The way every operation takes to the server: counted, and with its errors in the port's words."""

from collections.abc import Iterator
from contextlib import contextmanager

from omnix_store.errors import StoreOverloadedError
from omnix_store.mongodb.errors import mongodb_errors


class Door:
    """Lets a bounded number of operations wait; the driver itself would let any number wait for a connection."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._inside = 0

    @contextmanager
    def operation(self) -> Iterator[None]:
        if self._inside >= self._capacity:
            raise StoreOverloadedError(f"{self._capacity} operations are waiting already")
        self._inside += 1
        try:
            with mongodb_errors():
                yield
        finally:
            self._inside -= 1
