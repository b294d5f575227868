"""Gives and takes bytes, for the benchmarks of tunnels: ``python stream.py <host>``.

It prints its port. A connection begins with ``get N`` or ``put N`` and a line feed; then come N
bytes from here, or from there, and these are answered by how many they were and the last of them.
It serves until its standard input ends, and needs nothing but the standard library.
"""

import contextlib
import socket
import sys
import threading

BLOCK = bytes(range(256)) * 1024
ENDING = b"the end of bytes"


def serve(connection: socket.socket) -> None:
    """Do what one connection asks for."""
    with connection, contextlib.suppress(ConnectionError), connection.makefile("rb", 0) as file:
        word, _, number = file.readline(64).partition(b" ")
        if word == b"get":
            give(connection, int(number))
        elif word == b"put":
            take(connection, int(number))


def give(connection: socket.socket, size: int) -> None:
    """Send so many bytes."""
    left = size - len(ENDING)
    while left:
        left -= connection.send(BLOCK[:left] if left < len(BLOCK) else BLOCK)
    connection.sendall(ENDING)


def take(connection: socket.socket, size: int) -> None:
    """Receive so many bytes, and say so."""
    room = bytearray(len(BLOCK))
    count, ending = 0, b""
    while count < size:
        received = connection.recv_into(room)
        if not received:
            break
        count += received
        last = room[max(0, received - len(ENDING)) : received]
        ending = (ending + last)[-len(ENDING) :]
    connection.sendall(b"%d %b\n" % (count, ending))


def accept(listener: socket.socket) -> None:
    """Serve each connection by a thread of its own."""
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def main(host: str) -> None:
    """Be the server."""
    listener = socket.create_server((host, 0))
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
