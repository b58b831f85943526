"""An HTTP proxy before one server: whatever host it is asked for, it leads there."""

import re
import socket
import threading

ASKED = re.compile(rb"\A([A-Z]+) http://[^/ ]+")
REFUSALS = {
    "password": b"407 Words\r\nProxy-Authenticate: Basic",
    "denied": b"403 Words\r\nContent-Type: text/html",
}


class Proxy:
    """Passes on what comes by CONNECT, or in plain text; or "cut"s, or refuses: set()."""

    def __init__(self, port, mode="pass"):
        self.port = port
        self.mode = mode
        self.refused = 0
        self.sockets = set()
        self.lock = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.listen, daemon=True).start()

    def set(self, mode):
        """From now on, and all connections end."""
        with self.lock:
            self.mode = mode
            self.refused = 0
            for each in self.sockets:
                self.end(each)

    def wait_refused(self, number, seconds=60):
        """So many requests since set()."""
        with self.lock:
            assert self.lock.wait_for(lambda: self.refused >= number, seconds)

    def close(self):
        self.end(self.listener)
        self.listener.close()
        self.set("cut")

    @staticmethod
    def end(each):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end was quicker

    def listen(self):
        while True:
            try:
                guest, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(guest,), daemon=True).start()

    def serve(self, guest):
        with guest, socket.socket() as server:
            with self.lock:
                self.sockets |= {guest, server}
            try:
                self.serve_one(guest, server)
            except OSError:
                pass  # set() has ended it
            with self.lock:
                self.sockets -= {guest, server}

    def serve_one(self, guest, server):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = guest.recv(65536)
            if not piece:
                return
            head += piece
        if self.mode != "pass":
            self.refuse(guest)
            return
        server.connect(("127.0.0.1", self.port))
        if head.startswith(b"CONNECT "):
            guest.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            head = head.partition(b"\r\n\r\n")[2]
        back = threading.Thread(target=self.pass_on, args=(server, guest), daemon=True)
        back.start()
        server.sendall(ASKED.sub(rb"\1 ", head))
        self.pass_on(guest, server)
        back.join()

    def refuse(self, guest):
        with self.lock:
            self.refused += 1
            self.lock.notify_all()
        if self.mode == "cut":
            return
        end = b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        guest.sendall(b"HTTP/1.1 " + REFUSALS[self.mode] + end)
        guest.shutdown(socket.SHUT_WR)
        while guest.recv(65536):  # closed with bytes unread, it would be reset
            pass

    def pass_on(self, source, target):
        try:
            while piece := source.recv(65536):
                target.sendall(ASKED.sub(rb"\1 ", piece))
        except OSError:
            pass
        self.end(source)
        self.end(target)
