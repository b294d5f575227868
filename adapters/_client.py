"""What the clients share: they are opened and closed by ``async with``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Client"]


class Client:
    """Something to ``open`` and ``aclose``, by hand or by ``async with``."""

    async def open(self) -> Self:
        """Open it; ``async with`` does this."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close it; may be called again."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        try:
            return await self.open()
        except BaseException:
            await self.aclose()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
