"""An HTTP server that does what the path says, also what no server should do.

Prints "address HOST:PORT"; ends with its stdin. No library between it and the socket.
"""

import socket
import sys
import threading

MIB = 1 << 20
gate = threading.Event()
connections = 0


class Peer:
    """One connection."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.served = 0

    def read_until(self, mark):
        while mark not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(mark)
        return head

    def read_body(self, length, keep):
        kept = bytearray()
        while length:
            if not self.buffer:
                self.buffer = self.sock.recv(min(length, MIB))
                assert self.buffer, "cut"
            piece, self.buffer = self.buffer[:length], self.buffer[length:]
            length -= len(piece)
            if keep:
                kept += piece
        return bytes(kept)

    def answer(self, body=b"", status="200 OK", headers=(), length=None):
        length = len(body) if length is None else length
        head = [f"HTTP/1.1 {status}", f"Content-Length: {length}", *headers]
        self.sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    def serve(self):
        while (head := self.read_until(b"\r\n\r\n")) is not None:
            line, *headers = head.decode("latin-1").split("\r\n")
            method, path, _ = line.split(" ")
            fields = {k.lower(): v for k, _, v in (h.partition(": ") for h in headers)}
            # A proxy is given the whole URL.
            path = "/" + path.split("/", 3)[3] if path.startswith("http://") else path
            what, *rest = path[1:].split("/")
            length = int(fields.get("content-length", "0"))
            self.served += 1
            if what == "late":
                self.read_body(MIB, False)
                gate.wait()
                self.read_body(length - MIB, False)
                self.answer(str(length).encode())
                continue
            if what == "refuse":
                self.answer(b"too large", "413 Too Large", ["Connection: close"])
                return
            body = self.read_body(length, what in ("echo", "stale"))
            if getattr(self, what.replace("-", "_"))(body, fields, *rest) == "close":
                return

    # What a path does: "close" ends the connection.

    def echo(self, body, fields):
        self.answer(body, headers=["Content-Type: text/plain", "Date: Sun, 06 Nov 1994 08:49:37 GMT"])

    def header(self, body, fields, name):
        self.answer(fields.get(name, "none").encode())

    def count(self, body, fields):
        """Which request of which connection is it?"""
        self.answer(f"{connections}.{self.served}".encode())

    def status(self, body, fields, number):
        self.answer(b'{"code": 2004, "detail": "said so"}', f"{number} Words", ["Content-Type: application/json"])

    def type(self, body, fields, major, minor):
        self.answer(b"body", headers=[f"Content-Type: {major}/{minor}"])

    def book(self, body, fields):
        self.answer(b"x" * MIB, "500 Words")

    def v1(self, body, fields, *rest):
        """What Flower's would see; or what the method's name says, as here."""
        what = rest[-1].replace("-", "_")
        if hasattr(self, what):
            return getattr(self, what)(body, fields)
        names = ("content-type", "flwr-public-key", "flwr-timestamp", "flwr-signature")
        text = "/".join(rest) + "".join(f"|{fields.get(name, 'none')}" for name in names)
        self.answer(text.encode(), headers=["content-type: application/protobuf; charset=x"])

    def api(self, body, fields, *rest):
        """What Flower's REST would see; or what the method's name says, as here."""
        what = rest[-1].replace("-", "_")
        if hasattr(self, what):
            return getattr(self, what)(body, fields)
        names = ("content-type", "accept", "flwr-public-key", "flwr-timestamp", "flwr-signature")
        text = "/".join(rest) + "".join(f"|{fields.get(name, 'none')}" for name in names)
        self.answer(text.encode(), headers=["content-type: application/protobuf"])

    def password(self, body, fields):
        """A proxy wants one."""
        self.answer(b"", "407 Words", ["Proxy-Authenticate: Basic"])

    def portal(self, body, fields):
        self.answer(b"<html>log in</html>", headers=["Content-Type: text/html"])

    def moved(self, body, fields):
        self.answer(b"", "302 Words", ["Location: http://elsewhere.invalid/"])

    def part(self, body, fields):
        self.answer(b"body", "206 Words", ["content-type: application/protobuf"])

    def unauthorized(self, body, fields):
        self.answer(b"<html>", "401 Words", ["WWW-Authenticate: Basic", "Content-Type: text/html"])

    def denied(self, body, fields):
        self.answer(b"go away", "403 Words", ["Content-Type: text/plain"])

    def refuse_in_json(self, status, text):
        self.answer(text, f"{status} Words", ["Content-Type: application/json"])

    def flowers_unauthorized(self, body, fields):
        self.refuse_in_json(401, b'{"detail": "said so"}')

    def flowers_denied(self, body, fields):
        self.refuse_in_json(403, b'{"code": 2007, "detail": "said so"}')

    def another_denied(self, body, fields):
        self.refuse_in_json(403, b'{"detail": "said so"}')

    def gzip(self, body, fields):
        self.answer(b"body", headers=["content-type: application/protobuf", "Content-Encoding: gzip"])

    def identity(self, body, fields):
        self.answer(b"body", headers=["content-type: application/protobuf", "Content-Encoding: Identity"])

    def bad_chunk(self, body, fields):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/protobuf\r\n")
        self.sock.sendall(b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n")
        return "close"

    def endless_refusal(self, body, fields):
        self.sock.sendall(b"HTTP/1.1 500 Words\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            self.sock.sendall(b"100000\r\n" + b"\xa5" * MIB + b"\r\n")

    def half_refusal(self, body, fields):
        self.answer(b"not today,", "503 Words", ["Content-Type: text/plain"], length=1000)
        gate.wait()
        return "close"

    def teapot(self, body, fields):
        self.answer(b"I am\x00 one", "418 Words", ["Content-Type: text/plain; charset=utf-8"])

    def broken(self, body, fields):
        self.answer(b"Internal Server Error", "500 Words", ["Content-Type: text/plain"])

    def missing(self, body, fields):
        self.answer(b"x" * MIB, "404 Words", ["Content-Type: text/plain"])

    def untyped(self, body, fields):
        self.answer(b"body")

    def chunks(self, body, fields):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/protobuf\r\n")
        self.sock.sendall(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    def silent(self, body, fields):
        gate.wait()
        return "close"

    def half(self, body, fields):
        self.answer(b"x" * 10, length=20)
        gate.wait()
        return "close"

    def hang_up(self, body, fields):
        return "close"

    def once(self, body, fields):
        """Ends the connection as soon as it is idle, without having said so."""
        self.answer(body)
        return "close"

    def stale(self, body, fields):
        """Takes one request a connection; ends it when the second one is there."""
        if self.served > 1:
            return "close"
        self.answer(f"{connections}.{len(body)}".encode())

    def big(self, body, fields, mib):
        self.answer(b"", length=int(mib) * MIB)
        for _ in range(int(mib)):
            self.sock.sendall(b"\xa5" * MIB)

    def gated(self, body, fields, mib):
        self.answer(b"\xa5" * (3 * MIB), length=int(mib) * MIB)
        gate.wait()
        for _ in range(int(mib) - 3):
            self.sock.sendall(b"\xa5" * MIB)

    def open(self, body, fields):
        gate.set()
        self.answer(b"")

    def close(self, body, fields):
        gate.clear()
        self.answer(b"")

    def chunked(self, body, fields, mib):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(int(mib)):
            self.sock.sendall(b"100000\r\n" + b"\xa5" * MIB + b"\r\n")
        self.sock.sendall(b"0\r\n\r\n")

    def endless(self, body, fields, kind=b"application/protobuf"):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n")
        self.sock.sendall(b"Content-Type: " + kind + b"\r\n\r\n")
        while True:
            self.sock.sendall(b"100000\r\n" + b"\xa5" * MIB + b"\r\n")

    def many_headers(self, body, fields):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200)
        return self.answer(b"")

    def long_headers(self, body, fields):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 6000 + b"\r\n")
        self.sock.sendall((b"x: " + b"y" * 6000 + b"\r\n") * 3)
        return self.answer(b"")

    def many_heads(self, body, fields):
        while True:
            self.sock.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")

    def cut(self, body, fields):
        self.answer(b"x" * 10, length=1000)
        return "close"

    def cut_chunked(self, body, fields):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc")
        return "close"

    def lengths(self, body, fields):
        self.answer(b"x" * 10, headers=["Content-Length: 5"])

    def same_lengths(self, body, fields):
        self.answer(b"x" * 10, headers=["Content-Length: 10"])

    def plus(self, body, fields):
        self.answer(b"xxx", length="+3")

    def endless_page(self, body, fields):
        self.endless(body, fields, b"text/html")

    def huge(self, body, fields):
        self.answer(b"xxx", headers=["Content-Type: application/protobuf"], length=1 << 40)

    def huge_page(self, body, fields):
        self.answer(b"<p>", headers=["Content-Type: text/html"], length=1 << 40)

    def babble(self, body, fields):
        self.sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        return "close"


def connection(sock):
    with sock:
        try:
            Peer(sock).serve()
        except OSError:
            pass  # the other end has gone


def accept(listener):
    global connections
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections += 1
        threading.Thread(target=connection, args=(sock,), daemon=True).start()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"address 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    sys.stdin.read()


main()
