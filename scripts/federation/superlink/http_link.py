"""A Link over HTTP/1.1, as Flower's SuperLinks since 1.40 have it, or as REST of those to 1.32: protobuf
there and back. Its own time hardly counts: large bodies are received into memory that is used again."""

import contextlib
import json
import re
import socket
import ssl
import threading

from .link import Carrier, Never, Raw, Refusal

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
PROTOBUF = "application/protobuf"
SIGNED = ("flwr-public-key", "flwr-timestamp", "flwr-signature")


def path_of(method):
    """pull-messages for PullMessages"""
    return re.sub(r"(?<!^)([A-Z])", r"-\1", method).lower()


def head_of(status, length, type=PROTOBUF):
    return (
        f"HTTP/1.1 {status} {WORDS.get(status, 'Odd')}\r\n"
        f"content-type: {type}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


def said(status, text, code=None):
    """An answer with Flower's JSON."""
    body = {"detail": text} if code is None else {"code": code, "detail": text}
    body = json.dumps(body).encode()
    return Raw(body, head_of(status, len(body), "application/json"))


class Arena:
    """Memory for bodies, touched once and used again: new pages would count as the node's time."""

    def __init__(self):
        self.lock = threading.Lock()
        self.bytes = bytearray()
        self.used = 0

    def reserve(self, size):
        with self.lock:
            if len(self.bytes) < size:
                self.bytes = bytearray(b"\1") * size
            self.used = 0

    def take(self, size):
        with self.lock:
            start = self.used
            if size <= HEAD_MAX or start + size > len(self.bytes):
                return memoryview(bytearray(size))
            self.used += size
        return memoryview(self.bytes)[start : start + size]


class HttpLink(Carrier):
    prefix = "/v1/fleet/"
    refuse = staticmethod(said)

    def __init__(self, link, certificates=None):
        super().__init__(link)
        self.methods = {self.prefix + path_of(method): method for method in link.methods}
        self.tls = None
        if certificates:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificates.certificate, certificates.key)
        self.arena = Arena()
        self.reserve = self.arena.reserve
        self.connections = set()
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.link.closing.set()
        for each in (self.listening, *self.connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def accept(self):
        with self.listening, contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.connections.add(connection)
            with connection:
                while not self.link.closing.is_set() and self.serve_one(connection):
                    pass
        self.connections.discard(connection)

    def serve_one(self, connection):
        """Answer one request; is there to be another one on this connection?"""
        head, _, begun = self.read_head(connection).partition(b"\r\n\r\n")
        if not head:
            return False
        line, *lines = head.decode("latin-1").split("\r\n")
        verb, path, _ = line.split(" ")
        headers = (line.split(":", 1) for line in lines)
        headers = {name.strip().lower(): value.strip() for name, value in headers}
        body = self.arena.take(int(headers.get("content-length", 0)))
        body[: len(begun)] = begun
        at = len(begun)
        while at < len(body):
            got = connection.recv_into(body[at:])
            if not got:
                return False
            at += got
        try:
            answer = self.answer(verb, path, headers, body)
        except Never:
            connection.recv(1)  # until the caller goes
            return False
        head = answer.head or head_of(200, len(answer.body))
        if len(answer.body) > HEAD_MAX:  # it would cost a copy
            connection.sendall(head)
            connection.sendall(answer.body)
        else:
            connection.sendall(head + answer.body)
        if b"content-length: %d\r\n" % len(answer.body) in head:
            return True
        # The head says what does not follow: the connection's end is the answer's.
        if not answer.stays:
            connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        return False

    def read_head(self, connection):
        """All that came with a request's head; nothing if none came."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(HEAD_MAX)
            if not piece or len(data) > HEAD_MAX:
                return b""
            data += piece
        return data

    def answer(self, verb, path, headers, body):
        refused = self.look_at(verb, path, headers)
        if refused:
            return refused
        try:
            return self.link.take(self.methods[path], body)
        except Refusal as refusal:
            status, text = TWINS[refusal.status]
            return self.refuse(refusal.http or status, refusal.text or text, refusal.code)

    def look_at(self, verb, path, headers):
        """The answer to such a request, whatever is in it; None: that is for the Link to say."""
        if path == "/health":
            return Raw(b"", head_of(200, 0, "text/plain"))
        if path not in self.methods:
            return said(404, "Not Found")
        if verb != "POST":
            return said(405, "Method Not Allowed")
        if headers.get("content-type", "").partition(";")[0].strip() != PROTOBUF:
            return said(415, "Unsupported content type.", 1002)
        if not all(name in headers for name in SIGNED):
            return said(401, "Invalid SuperNode authentication")
        return None


class RestLink(HttpLink):
    prefix = "/api/v0/fleet/"

    @property
    def address(self):
        return f"{'https' if self.tls else 'http'}://{super().address}"

    def answer(self, verb, path, headers, body):
        """Flower's own clients ask for some paths with two slashes."""
        return super().answer(verb, path.replace("//", "/", 1), headers, body)

    @staticmethod
    def refuse(status, text, code=None):
        body = text.encode()
        return Raw(body, head_of(status, len(body), "text/plain; charset=utf-8"))

    def look_at(self, verb, path, headers):
        if path not in self.methods:
            return self.refuse(404, "Not Found")
        if verb != "POST":
            return self.refuse(405, "Method Not Allowed")
        for name in ("content-type", "accept"):
            if headers.get(name) != PROTOBUF:
                return self.refuse(400, f"Unsupported {name}")
        return None
