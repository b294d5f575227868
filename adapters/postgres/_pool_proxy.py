"""What a pool lends out: a connection for as long as it is not given back."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from ._client import Postgres
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._pool_holder import PoolConnectionHolder

    _Lent = Postgres
else:
    _Lent = object

__all__ = ["PoolConnectionProxy"]


class PoolConnectionProxy(_Lent):
    """One of a pool's connections, until it is released; then each method is an `InterfaceError`.

    It passes for the connection: it has all that this has, and is an instance of its class.
    """

    __slots__ = ("_class", "_connection", "holder")

    def __init__(self, holder: PoolConnectionHolder, connection: Postgres) -> None:
        self._connection: Any = connection
        self._class = type(connection)
        self.holder = holder

    @property
    def __class__(self) -> Any:
        """The class of the connection, for ``isinstance``."""
        return self._class

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise AttributeError("the class of a lent connection cannot be changed")

    def unwrap(self, name: str) -> Any:
        """Return the connection itself.

        Raises:
            InterfaceError: it was given back.
        """
        if self._connection is None:
            text = f"cannot call Connection.{name}(): connection has been released back to the pool"
            raise InterfaceError(text)
        return self._connection

    def detach(self) -> Postgres | None:
        """Part from the connection and return it, None if that was done before."""
        connection: Postgres | None
        connection, self._connection = self._connection, None
        return connection

    def __getattr__(self, name: str) -> Any:
        if self._connection is None and name[:2] == "__":
            raise AttributeError(name)
        value = getattr(self.unwrap(name), name)
        # A subclass's own method: it shall not be of use later either.
        if inspect.ismethod(value) and value.__self__ is self._connection:
            return functools.partial(_forwarder(name, value), self)
        return value

    def __repr__(self) -> str:
        what = "[released]" if self._connection is None else repr(self._connection)
        return f"<{PoolConnectionProxy.__name__} {what} {id(self):#x}>"


def _forwarder(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def forward(self: PoolConnectionProxy, /, *args: Any, **options: Any) -> Any:
        return getattr(self.unwrap(name), name)(*args, **options)

    return forward


def _forward_all() -> None:
    own = vars(PoolConnectionProxy)
    for name, method in inspect.getmembers(Postgres, inspect.isfunction):
        if not name.startswith("_") and name not in own:
            setattr(PoolConnectionProxy, name, _forwarder(name, method))


_forward_all()
