"""SMTP submission and LMTP: aiosmtplib's habits on any socket, pipelined.

async with SMTP.from_url("submission://user:password@mail.example") as smtp:
await smtp.sendmail("a@example.org", ["b@example.org"], message)
"""

from __future__ import annotations

from ._client import SMTP, connect
from ._dkim import DKIM
from ._envelope import By, Mail, Options
from ._errors import (
    SMTPArgumentError,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPConnectTimeoutError,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPMessageTooLarge,
    SMTPNotSupported,
    SMTPReadTimeoutError,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPServiceClosed,
    SMTPTimeoutError,
    Uncertain,
)
from ._exclusive import Session
from ._many import Outcome
from ._pool import SMTPPool
from ._results import SendResult, SMTPResponse
from ._url import parse_url

__all__ = [
    "DKIM",
    "SMTP",
    "By",
    "Mail",
    "Options",
    "Outcome",
    "SMTPArgumentError",
    "SMTPAuthenticationError",
    "SMTPConnectError",
    "SMTPConnectResponseError",
    "SMTPConnectTimeoutError",
    "SMTPDataError",
    "SMTPException",
    "SMTPHeloError",
    "SMTPMessageTooLarge",
    "SMTPNotSupported",
    "SMTPPool",
    "SMTPReadTimeoutError",
    "SMTPRecipientRefused",
    "SMTPRecipientsRefused",
    "SMTPResponse",
    "SMTPResponseException",
    "SMTPSenderRefused",
    "SMTPServerDisconnected",
    "SMTPServiceClosed",
    "SMTPTimeoutError",
    "SendResult",
    "Session",
    "Uncertain",
    "connect",
    "parse_url",
]
