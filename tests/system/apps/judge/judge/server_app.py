"""Sends what the test asks for, and tells it what came back: lines of JSON on a socket."""

import hashlib
import json
import random
import select
import socket

from flwr.common import ConfigsRecord, ParametersRecord, RecordSet
from flwr.common.record.parametersrecord import Array
from flwr.server import ServerApp

PULL_EVERY_S = 0.05

app = ServerApp()


def random_bytes(number):
    chance = random.Random(number)
    pieces = [chance.randbytes(min(1 << 24, number - at)) for at in range(0, number, 1 << 24)]
    return b"".join(pieces)


def digest(records):
    """Of all array bytes."""
    hashed = hashlib.sha256()
    for record in records.parameters_records.values():
        for array in record.values():
            hashed.update(array.data)
    return hashed.hexdigest()


class Desk:
    def __init__(self, driver, path):
        self.driver = driver
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.pending = set()

    def tell(self, **what):
        self.socket.sendall(json.dumps(what).encode() + b"\n")

    def send(self, order):
        records = RecordSet(configs_records={"do": ConfigsRecord(order["do"])})
        if "config" in order:  # of a control message
            records = RecordSet(configs_records={"config": ConfigsRecord(order["config"])})
        if order["bytes"]:
            data = random_bytes(order["bytes"])
            array = Array("uint8", [order["bytes"]], "none", data)
            records.parameters_records["bulk"] = ParametersRecord({"bulk": array})
        message = self.driver.create_message(
            records, order["type"], int(order["node"]), order["group"], order["ttl"]
        )
        (number,) = self.driver.push_messages([message])
        if "forget" not in order:
            self.pending.add(number)
        self.tell(
            sent=number,
            created_at=message.metadata.created_at,
            digest=digest(records),
        )

    def pull(self):
        for message in self.driver.pull_messages(self.pending):
            meta = message.metadata
            self.pending.discard(meta.reply_to_message)
            reply = {"type": meta.message_type, "group": meta.group_id, "ttl": meta.ttl}
            reply["created_at"] = meta.created_at
            reply["node"] = str(meta.src_node_id)
            reply["run"] = meta.run_id
            if message.has_error():
                reply["code"], reply["reason"] = message.error.code, message.error.reason
            else:
                content = message.content
                reply["code"] = 0
                reply["configs"] = {k: dict(v) for k, v in content.configs_records.items()}
                reply["metrics"] = {k: dict(v) for k, v in content.metrics_records.items()}
                reply["digest"] = digest(content)
                reply["bytes"] = sum(
                    len(array.data)
                    for record in content.parameters_records.values()
                    for array in record.values()
                )
            self.tell(reply=reply, to=meta.reply_to_message)

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
                if "nodes" in order:
                    self.tell(nodes=[str(node) for node in self.driver.get_node_ids()])
                else:
                    self.send(order)
            if self.pending:
                self.pull()


@app.main()
def main(driver, context):
    Desk(driver, context.run_config["judge"]).serve()
