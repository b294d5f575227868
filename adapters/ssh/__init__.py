"""SSH: asyncssh's sessions on any socket.

async with SSH(socket, username="ada") as ssh:
    result = await ssh.run("uname -a")
"""

from __future__ import annotations

from ._carrier import ChannelTransport, SSHConnector, SSHConnectorOptions
from ._client import SSH, connect
from ._errors import (
    ChannelListenError,
    ChannelOpenError,
    DisconnectError,
    HostKeyError,
    PermissionDenied,
    SSHConnectError,
    SSHError,
    SSHTimeoutError,
)
from ._host_keys import HostKeyVerification
from ._report import Report
from ._scan import scan
from ._sessions import Pending
from ._transport import SSHTransport
from ._url import parse_url

__all__ = [
    "SSH",
    "ChannelListenError",
    "ChannelOpenError",
    "ChannelTransport",
    "DisconnectError",
    "HostKeyError",
    "HostKeyVerification",
    "Pending",
    "PermissionDenied",
    "Report",
    "SSHConnectError",
    "SSHConnector",
    "SSHConnectorOptions",
    "SSHError",
    "SSHTimeoutError",
    "SSHTransport",
    "connect",
    "parse_url",
    "scan",
]
