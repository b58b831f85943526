"""Sends what the test asks for, and tells it what came back: lines of JSON on a socket."""

import hashlib
import json
import random
import select
import socket

from judge.flower import (
    Array,
    ArrayRecord,
    ConfigRecord,
    ServerApp,
    arrays_of,
    configs_of,
    instruction,
    metrics_of,
    records,
    replied_to,
    tasks_of,
)

PULL_EVERY_S = 0.05

app = ServerApp()


def random_bytes(number):
    chance = random.Random(number)
    pieces = [chance.randbytes(min(1 << 24, number - at)) for at in range(0, number, 1 << 24)]
    return b"".join(pieces)


def digest(content):
    """Of all array bytes."""
    hashed = hashlib.sha256()
    for record in arrays_of(content).values():
        for array in record.values():
            hashed.update(array.data)
    return hashed.hexdigest()


class Desk:
    def __init__(self, grid, path):
        self.grid = grid
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.pending = set()

    def tell(self, **what):
        self.socket.sendall(json.dumps(what).encode() + b"\n")

    def send(self, order):
        configs = {"do": ConfigRecord(order["do"])}
        if "config" in order:  # of a control message
            configs = {"config": ConfigRecord(order["config"])}
        arrays = {}
        if order["bytes"]:
            data = random_bytes(order["bytes"])
            array = Array("uint8", (order["bytes"],), "none", data)
            arrays["bulk"] = ArrayRecord({"bulk": array})
        for name, parts in order.get("arrays", {}).items():
            made = {key: Array("uint8", (n,), "none", random_bytes(n)) for key, n in parts.items()}
            arrays[name] = ArrayRecord(made)
        content = records(arrays, configs=configs)
        message = instruction(
            self.grid, content, order["type"], int(order["node"]), order["group"], order["ttl"]
        )
        (number,) = self.grid.push_messages([message])
        if "forget" not in order:
            self.pending.add(number)
        self.tell(
            sent=number,
            created_at=message.metadata.created_at,
            digest=digest(content),
        )

    def pull(self):
        for message in self.grid.pull_messages(self.pending):
            meta = message.metadata
            self.pending.discard(replied_to(meta))
            reply = {"type": meta.message_type, "group": meta.group_id, "ttl": meta.ttl}
            reply["created_at"] = meta.created_at
            reply["node"] = str(meta.src_node_id)
            reply["run"] = meta.run_id
            reply["to-node"] = str(meta.dst_node_id)
            reply["tasks"] = tasks_of(meta)
            if message.has_error():
                reply["code"], reply["reason"] = message.error.code, message.error.reason
            else:
                content = message.content
                reply["code"] = 0
                reply["configs"] = {k: dict(v) for k, v in configs_of(content).items()}
                reply["metrics"] = {k: dict(v) for k, v in metrics_of(content).items()}
                reply["arrays"] = {k: list(v) for k, v in arrays_of(content).items()}
                reply["digest"] = digest(content)
                reply["bytes"] = sum(
                    len(array.data)
                    for record in arrays_of(content).values()
                    for array in record.values()
                )
            self.tell(reply=reply, to=replied_to(meta))

    def serve(self):
        lines = b""
        while True:
            if select.select([self.socket], [], [], PULL_EVERY_S if self.pending else None)[0]:
                piece = self.socket.recv(65536)
                if not piece:
                    return
                lines += piece
            while b"\n" in lines:
                line, _, lines = lines.partition(b"\n")
                order = json.loads(line)
                if order == {"forget": True}:
                    self.pending.clear()
                elif "nodes" in order:
                    self.tell(nodes=[str(node) for node in self.grid.get_node_ids()])
                else:
                    self.send(order)
            if self.pending:
                self.pull()


@app.main()
def main(grid, context):
    Desk(grid, context.run_config["judge"]).serve()
