"""Clients: each joins one codec of ``wirekit.protocols`` to one socket of ``wirekit.sockets``."""
