"""The line between node and SuperLink, which can be slow, or break in the middle of an answer."""

import time

from relay import Relay


class Line(Relay):
    """Relays; what comes from the SuperLink can be counted, and slowed down."""

    def __init__(self, target):
        self.down_rate = None  # bytes a second
        self.cut_down_after = None
        super().__init__(target)

    def cut_in_answer(self, number):
        """End the connection on which so many bytes have come from the SuperLink from now on."""
        for pair in self.pairs:
            pair["down"] = 0
        self.cut_down_after = number

    def pass_on(self, pair, end):
        if end == "node":
            super().pass_on(pair, end)
            return
        try:
            data = pair["link"].recv(65536 if not self.down_rate else 64)
            if data and self.down_rate:
                time.sleep(len(data) / self.down_rate)
            if data:
                pair["node"].sendall(data)
        except OSError:
            data = b""
        pair["down"] = pair.get("down", 0) + len(data)
        if not data:
            self.drop(pair)
        elif self.cut_down_after is not None and pair["down"] > self.cut_down_after:
            self.cut_down_after = None
            self.drop(pair)
            self.was_cut.set()
