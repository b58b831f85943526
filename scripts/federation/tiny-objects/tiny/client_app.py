"""Tells when it ran and gives back what it got, or sits until it is killed. Imports what each ClientApp
needs, and NumPy."""

import os
import time

import numpy as np
from flwr.app import Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query()
def query(message, context):
    began = time.time()
    file = message.content["do"]["sit"]
    if file:
        with open(file + ".new", "w", encoding="utf-8") as pid:
            pid.write(str(os.getpid()))
        os.rename(file + ".new", file)
        time.sleep(600)
    total = float(np.ones(4).sum())
    times = MetricRecord({"began": began, "ended": time.time(), "total": total})
    records = RecordDict({"times": times})
    if "bulk" in message.content:
        records["bulk"] = message.content["bulk"]
    return Message(records, reply_to=message)
