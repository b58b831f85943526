"""An HTTP server for stand-ins whose own time hardly counts: bodies are received into memory that is used
again, and sent as they are."""

import re
import socket
import ssl
import threading

HEAD_MAX = 65536
HEAD = (
    b"HTTP/1.1 %s\r\ncontent-type: application/protobuf\r\n"
    b"content-length: %d\r\n\r\n"
)  # fmt: skip


class Arena:
    """Memory for bodies, touched once and used again: new pages would count as the node's time."""

    def __init__(self):
        self.lock = threading.Lock()
        self.bytes = bytearray()
        self.used = 0

    def reserve(self, size):
        """Room for so many bytes; nothing of what was taken is in use any more."""
        with self.lock:
            if len(self.bytes) < size:
                self.bytes = bytearray(b"\1") * size
            self.used = 0

    def take(self, size):
        with self.lock:
            start = self.used
            if start + size > len(self.bytes):
                return memoryview(bytearray(size))
            self.used += size
        return memoryview(self.bytes)[start : start + size]


class Server:
    """answer(path, body) gives the pieces of an answer, or None: there is no such path. With TLS, if
    there are certificates."""

    def __init__(self, answer, certificates=None):
        self.answer = answer
        self.tls = None
        if certificates:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificates.certificate, certificates.key)
        self.arena = Arena()
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listening.close()

    def accept(self):
        while True:
            try:
                line, _ = self.listening.accept()
            except OSError:
                return
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(line,), daemon=True).start()

    def serve(self, line):
        with line:
            try:
                if self.tls:
                    line = self.tls.wrap_socket(line, server_side=True)
                while self.serve_one(line):
                    pass
            except OSError:
                pass

    def serve_one(self, line):
        head = b""
        while b"\r\n\r\n" not in head:
            more = line.recv(HEAD_MAX)
            if not more or len(head) > HEAD_MAX:
                return False
            head += more
        head, _, begun = head.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = self.read_body(line, begun, int(found.group(1)) if found else 0)
        if body is None:
            return False
        pieces = self.answer(head.split(b" ", 2)[1].decode(), body)
        status = b"404 Not Found" if pieces is None else b"200 OK"
        pieces = pieces or []
        send_all(line, [HEAD % (status, sum(map(len, pieces))), *pieces])
        return True

    def read_body(self, line, begun, size):
        body = self.arena.take(size) if size > HEAD_MAX else memoryview(bytearray(size))
        body[: len(begun)] = begun
        at = len(begun)
        while at < size:
            got = line.recv_into(body[at:])
            if not got:
                return None
            at += got
        return body


def send_all(line, pieces):
    pieces = [memoryview(each) for each in pieces if len(each)]
    if isinstance(line, ssl.SSLSocket):  # which has no sendmsg()
        for each in pieces:
            line.sendall(each)
        return
    while pieces:
        sent = line.sendmsg(pieces)
        while pieces and sent >= len(pieces[0]):
            sent -= len(pieces.pop(0))
        if sent:
            pieces[0] = pieces[0][sent:]
