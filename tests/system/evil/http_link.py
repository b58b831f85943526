"""A Link over HTTP/1.1, as Flower's SuperLinks since 1.40 have it, or as REST of those to 1.32:
protobuf there and back."""

import asyncio
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

from .link import Never, Raw, Refusal

# gRPC's statuses as Flower's HTTP API says them: status, and what is said when no text is given.
TWINS = {
    "INVALID_ARGUMENT": (400, "Invalid protobuf message."),
    "UNAUTHENTICATED": (401, "Invalid SuperNode authentication"),
    "PERMISSION_DENIED": (403, "Run is not running."),
    "NOT_FOUND": (404, "Not Found"),
    "UNIMPLEMENTED": (404, "Not Found"),
    "FAILED_PRECONDITION": (412, "Failed precondition."),
    "RESOURCE_EXHAUSTED": (413, "Request too large."),
    "INTERNAL": (500, "Internal server error."),
    "UNKNOWN": (500, "Internal server error."),
    "BAD_GATEWAY": (502, "Bad Gateway"),  # of a proxy; gRPC has no such status
    "UNAVAILABLE": (503, "Service Unavailable"),
    "DEADLINE_EXCEEDED": (504, "Gateway Timeout"),
}
WORDS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 415: "Unsupported Media Type"}
HEAD_MAX = 65536


def path_of(method):
    """pull-messages for PullMessages"""
    return re.sub(r"(?<!^)([A-Z])", r"-\1", method).lower()


def head(status, length, type="application/protobuf"):
    return (
        f"HTTP/1.1 {status} {WORDS.get(status, 'Odd')}\r\n"
        f"content-type: {type}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


def said(status, text, code=None):
    """An answer with Flower's JSON."""
    body = {"detail": text} if code is None else {"code": code, "detail": text}
    body = json.dumps(body).encode()
    return Raw(body, head(status, len(body), "application/json"))


class HttpLink:
    prefix = "/v1/fleet/"

    def __init__(self, link):
        self.link = link
        self.methods = {self.prefix + path_of(method): method for method in link.methods}
        self.threads = ThreadPoolExecutor(32)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.connections = set()
        starting = asyncio.start_server(self.serve, "127.0.0.1", 0, limit=HEAD_MAX)
        self.server = asyncio.run_coroutine_threadsafe(starting, self.loop).result(10)
        self.port = self.server.sockets[0].getsockname()[1]

    def close(self):
        self.link.closing.set()
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
        self.threads.shutdown()

    async def end(self):
        self.server.close()
        for task in list(self.connections):
            task.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.connections.add(task)
        try:
            while await self.serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.connections.discard(task)
            writer.transport.abort()

    async def serve_one(self, reader, writer):
        """One request; is there to be another one on this connection?"""
        verb, path, headers = await self.read_head(reader)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        try:
            answer = await self.answer(verb, path, headers, body)
        except Never:
            await reader.read(1)  # until the caller goes
            return False
        honest = answer.head is None
        writer.write((head(200, len(answer.body)) if honest else answer.head) + answer.body)
        await writer.drain()
        if honest or b"content-length: %d\r\n" % len(answer.body) in answer.head:
            return True
        # What the head says is not what follows: the end is where the connection's is.
        if not answer.stays:
            writer.write_eof()
        await reader.read(1)
        return False

    async def read_head(self, reader):
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        verb, path, _ = lines[0].split(" ")
        headers = [line.split(":", 1) for line in lines[1:] if line]
        return verb, path, {name.strip().lower(): value.strip() for name, value in headers}

    async def answer(self, verb, path, headers, body):
        refused = self.look_at(verb, path, headers)
        if refused:
            return refused
        try:
            take = self.link.take, self.methods[path], body
            return await self.loop.run_in_executor(self.threads, *take)
        except Refusal as refusal:
            status, text = TWINS[refusal.status]
            return self.refuse(refusal.http or status, refusal.text or text, refusal.code)

    refuse = staticmethod(said)

    def look_at(self, verb, path, headers):
        """What such a request is answered with, whatever is in it."""
        if path == "/health":
            return Raw(b"", head(200, 0, "text/plain"))
        if path not in self.methods:
            return said(404, "Not Found")
        if verb != "POST":
            return said(405, "Method Not Allowed")
        if headers.get("content-type", "").partition(";")[0].strip() != "application/protobuf":
            return said(415, "Unsupported content type.", 1002)
        for name in ("flwr-public-key", "flwr-timestamp", "flwr-signature"):
            if name not in headers:
                return said(401, "Invalid SuperNode authentication")
        return None


class RestLink(HttpLink):
    prefix = "/api/v0/fleet/"

    async def answer(self, verb, path, headers, body):
        """Flower's own clients ask for some paths with two slashes."""
        return await super().answer(verb, path.replace("//", "/", 1), headers, body)

    @staticmethod
    def refuse(status, text, code=None):
        body = text.encode()
        return Raw(body, head(status, len(body), "text/plain; charset=utf-8"))

    def look_at(self, verb, path, headers):
        if path not in self.methods:
            return self.refuse(404, "Not Found")
        if verb != "POST":
            return self.refuse(405, "Method Not Allowed")
        for name in ("content-type", "accept"):
            if headers.get(name) != "application/protobuf":
                return self.refuse(400, f"Unsupported {name}")
        return None
