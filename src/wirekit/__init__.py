"""Protocol clients on any socket: make a socket, pass it to an adapter, speak.

``wirekit.sockets`` carries bytes, ``wirekit.protocols`` holds the sans-I/O codecs, and
``wirekit.adapters`` holds the clients that join one codec to one socket.
"""

from __future__ import annotations

from . import _errors
from ._errors import *  # noqa: F403 - the error tree is defined once, in _errors

__version__ = "0.1.0"

__all__ = ["__version__"]
__all__ += _errors.__all__
