"""Tells sums of a table. flwr_preload() loads the table: the first call does it, the others have it.

A node of this project makes that first call before there is a message, and shares what it has
loaded with all messages of the run. Anywhere else the app's own call, below, is the first one.
"""

import functools
import os

import numpy

try:
    from flwr.app import Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
except ImportError:  # before 1.21
    from flwr.client import ClientApp
    from flwr.common import MetricsRecord as MetricRecord
    from flwr.common import RecordSet

    Message = None

app = ClientApp()


@functools.cache
def flwr_preload():
    """The table, and the process that has made it. (A real app reads it from a file.)"""
    rows = numpy.arange(3_000_000, dtype=numpy.float64).reshape(-1, 3)
    rows.flags.writeable = False  # it is the same for all messages
    return rows, os.getpid()


@app.query()
def query(message, context):
    rows, loader = flwr_preload()
    sums = {"sum": float(rows.sum()), "loader": loader, "pid": os.getpid()}
    if Message is None:
        return message.create_reply(RecordSet(metrics_records={"table": MetricRecord(sums)}))
    return Message(RecordDict({"table": MetricRecord(sums)}), reply_to=message)
