"""SMTP submission and LMTP: aiosmtplib's habits on any socket, pipelined."""

from __future__ import annotations
