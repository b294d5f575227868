"""Servers that are small programs: each speaks on one end of a pair of sockets in memory."""

from __future__ import annotations

import asyncio

from wirekit.sockets import AddressLike, Socket, memory_pair

from ._script import ehlo_lines


class Mailbox:
    """Takes mail on any number of connections, line by line, and keeps it.

    Attributes:
        mails: sender, recipients, content.
        connections: how many there were.
        answers: what to say to a command in place of what is usual, the first that starts with it;
            used once. ``"<message>"`` stands for the end of a message, ``"<greeting>"`` for that.
            An empty answer closes the connection.
        hold: when the replies to messages may leave; None for at once.
    """

    def __init__(self, *keywords: str) -> None:
        self.keywords = keywords
        self.mails: list[tuple[str, list[str], bytes]] = []
        self.connections = 0
        self.open = 0
        self.answers: list[tuple[str, str]] = []
        self.commands: list[str] = []
        self.hold: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def connector(self, address: AddressLike) -> Socket:
        """Connect to it."""
        client, end = memory_pair(allow_half_open=True)
        self.connections += 1
        task = asyncio.create_task(self._serve(end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return client

    def _answer(self, command: str, usual: str) -> str:
        for index, (start, answer) in enumerate(self.answers):
            if command.startswith(start):
                del self.answers[index]
                return answer
        return usual

    async def _serve(self, end: Socket) -> None:
        self.open += 1
        try:
            await self._speak(end)
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            end.abort()

    async def _say(self, end: Socket, command: str, usual: str) -> str:
        answer = self._answer(command, usual)
        if command == "<message>" and self.hold is not None:
            await self.hold.wait()
        if not answer:
            raise ConnectionError
        await end.write(answer.encode() + b"\r\n")
        if answer.startswith("421"):
            await end.close()
            raise ConnectionError
        return answer

    async def _speak(self, end: Socket) -> None:
        await self._say(end, "<greeting>", "220 ready")
        sender: str | None = None
        recipients: list[str] = []
        while True:
            line = (await end.read_until(max_bytes=10000)).decode().rstrip("\r\n")
            self.commands.append(line)
            verb = line[:4]
            if verb == "EHLO":
                await self._say(end, line, "\r\n".join(ehlo_lines(*self.keywords)))
            elif verb == "MAIL":
                accepted = (await self._say(end, line, "250 ok"))[0] == "2"
                sender, recipients = (line[11 : line.index(">")] if accepted else None), []
            elif verb == "RCPT":
                usual = "503 no MAIL" if sender is None else "250 ok"
                if (await self._say(end, line, usual))[0] == "2":
                    recipients.append(line[9 : line.index(">")])
            elif verb == "DATA":
                answer = await self._say(end, line, "354 go" if recipients else "554 nobody")
                if answer[0] == "3":
                    content = await end.read_until(b"\r\n.\r\n", max_bytes=10000000)
                    if (await self._say(end, "<message>", "250 ok"))[0] == "2":
                        self.mails.append((sender or "", recipients, content[:-3]))
                    recipients = []
            elif verb == "BDAT":
                content = await end.read_exactly(int(line.split()[1]))
                answer = await self._say(end, "<message>", "250 ok" if recipients else "554 nobody")
                if answer[0] == "2":
                    self.mails.append((sender or "", recipients, content))
                recipients = []
            elif verb == "QUIT":
                await self._say(end, line, "221 bye")
                await end.close()
                return
            else:
                await self._say(end, line, "250 ok")


class Unreachable:
    """A connector that fails so many times."""

    def __init__(self, mailbox: Mailbox, *errors: Exception) -> None:
        self.errors = list(errors)
        self._mailbox = mailbox

    async def __call__(self, address: AddressLike) -> Socket:
        if self.errors:
            raise self.errors.pop(0)
        return await self._mailbox.connector(address)
