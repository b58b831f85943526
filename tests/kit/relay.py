"""A TCP relay between two programs that breaks at the worst moment."""

import re
import selectors
import socket
import threading
import time


METHOD = re.compile(rb"/flwr\.proto\.Fleet/(\w+)")  # plain in the first call's head of each


class Relay:
    """Relays until told to cut: when so many bytes have gone to the target on one connection."""

    def __init__(self, target, host="127.0.0.1", port=0):
        self.target = target
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        self.wake, self.woken = socket.socketpair()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.selector.register(self.woken, selectors.EVENT_READ, None)
        self.pairs = []
        self.methods = []  # of each connection there has been: the names that went to the target
        self.cut_after = None
        self.cut_answer_after = None
        self.cutting = False
        self.refusing = False
        self.rate = None  # bytes a second of a slow connection; None: as fast as can be
        self.answer_rate = None  # the same of what comes from the target
        self.was_cut = threading.Event()
        self.closed = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def cut_when(self, number):
        """Cut all connections when one has carried so many bytes to the target from now on."""
        for pair in self.pairs:
            pair["sent"] = 0
        self.cut_after = number

    def cut_in_answer(self, number):
        """End the connection on which so many bytes have come from the target from now on."""
        for pair in self.pairs:
            pair["came"] = 0
        self.cut_answer_after = number

    def cut(self):
        """End all connections that there are, now; new ones are taken."""
        self.cutting = True
        self.wake.send(b"x")
        assert self.was_cut.wait(10)
        self.was_cut.clear()

    def mend(self):
        """Connections are taken again."""
        self.refusing = False

    def close(self):
        self.closed = True
        self.wake.send(b"x")
        self.thread.join()
        for pair in list(self.pairs):
            self.drop(pair)
        for each in (self.listener, self.wake, self.woken):
            each.close()

    def drop(self, pair):
        for end in ("node", "link"):
            self.selector.unregister(pair[end])
            pair[end].close()
        self.pairs.remove(pair)

    def cut_now(self):
        self.cutting = False
        for each in list(self.pairs):
            self.drop(each)
        self.was_cut.set()

    def accept(self):
        node, _ = self.listener.accept()
        if self.refusing:
            node.close()
            return
        try:
            link = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            node.close()
            return
        pair = {"node": node, "link": link, "sent": 0, "came": 0, "methods": set()}
        self.pairs.append(pair)
        self.methods.append(pair["methods"])
        self.selector.register(node, selectors.EVENT_READ, (pair, "node"))
        self.selector.register(link, selectors.EVENT_READ, (pair, "link"))

    def pass_on(self, pair, end):
        rate = self.rate if end == "node" else self.answer_rate or self.rate
        try:
            data = pair[end].recv(64 if end == "link" and self.answer_rate else 65536)
            if data and rate:
                time.sleep(len(data) / rate)
            if data:
                pair["link" if end == "node" else "node"].sendall(data)
        except OSError:
            data = b""
        if not data:
            self.drop(pair)
        elif end == "node":
            pair["sent"] += len(data)
            pair["methods"].update(name.decode() for name in METHOD.findall(data))
            if self.cut_after is not None and pair["sent"] > self.cut_after:
                self.cut_after = None
                self.refusing = True
                self.cut_now()
        else:
            pair["came"] += len(data)
            if self.cut_answer_after is not None and pair["came"] > self.cut_answer_after:
                self.cut_answer_after = None
                self.drop(pair)
                self.was_cut.set()

    def run(self):
        while not self.closed:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj is self.woken:
                    self.woken.recv(1)
                    if self.cutting:
                        self.cut_now()
                elif key.data and key.data[0] in self.pairs:
                    self.pass_on(*key.data)
