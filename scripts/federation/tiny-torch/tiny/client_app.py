"""Tells when it ran; torch has computed something."""

import time

import torch
from flwr.client import ClientApp
from flwr.common import MetricsRecord, RecordSet
from flwr.server import ServerApp

app = ClientApp()
server = ServerApp()


@app.query()
def query(message, context):
    began = time.time()
    total = float(torch.ones(4).sum())
    times = MetricsRecord({"began": began, "ended": time.time(), "total": total})
    return message.create_reply(RecordSet(metrics_records={"times": times}))
