"""A process on the server, whose end is not mixed up with that of the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import asyncssh

from ._errors import connection_error

if TYPE_CHECKING:
    from ._bridge import Connection

__all__ = ["Process"]

_Text = TypeVar("_Text", bytes, str)


class Process(asyncssh.SSHClientProcess[_Text]):
    """asyncssh's process."""

    async def wait(
        self, check: bool = False, timeout: float | None = None
    ) -> asyncssh.SSHCompletedProcess:
        """Wait for the end of the process.

        Raises:
            SSHError: it was not the process that ended but the connection. (asyncssh returns a
                result without ``exit_status``, even with ``check``.)
            asyncssh.ProcessError: with ``check``, it did not end with status 0.
            asyncssh.TimeoutError: it did not end in time.
        """
        result = await super().wait(check, timeout)
        error = cast("Connection", self._conn).error
        if result.returncode is None and error is not None:
            raise connection_error(error)
        return result
