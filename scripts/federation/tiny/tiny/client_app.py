"""Tells when it ran and gives back what it got, or sits until it is killed."""

import os
import time

import numpy as np
from flwr.client import ClientApp
from flwr.common import MetricsRecord, RecordSet
from flwr.server import ServerApp

app = ClientApp()
server = ServerApp()


@app.query()
def query(message, context):
    began = time.time()
    file = message.content.configs_records["do"]["sit"]
    if file:
        with open(file + ".new", "w", encoding="utf-8") as pid:
            pid.write(str(os.getpid()))
        os.rename(file + ".new", file)
        time.sleep(600)
    total = float(np.ones(4).sum())
    times = MetricsRecord({"began": began, "ended": time.time(), "total": total})
    bulk = message.content.parameters_records
    return message.create_reply(RecordSet(metrics_records={"times": times}, parameters_records=bulk))
