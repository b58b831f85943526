"""ClientApps of every kind, for test_app_host*.c, for any release of Flower."""

import atexit
import os
import resource
import sys
import threading

import numpy as np
from flavour import (
    ArrayRecord, ClientApp, ConfigRecord, Error, MetricRecord, array_of, error_reply, keep, records, reply,
)
from flwr.client import Client, NumPyClient
from flwr.common import (
    Code, EvaluateRes, FitRes, GetParametersRes, Status, ndarrays_to_parameters,
)


class Numpy(NumPyClient):
    def fit(self, parameters, config):
        return [p + 1 for p in parameters], 7, {"lr": config["lr"], "who": "numpy"}

    def evaluate(self, parameters, config):
        return float(sum(p.sum() for p in parameters)), 5, {"accuracy": 0.5}


class Plain(Client):
    def get_parameters(self, ins):
        made = ndarrays_to_parameters([np.zeros(3)])
        return GetParametersRes(Status(Code.OK, "fine"), made)

    def fit(self, ins):
        return FitRes(Status(Code.OK, "fine"), ins.parameters, 3, {})

    def evaluate(self, ins):
        return EvaluateRes(Status(Code.OK, "fine"), 1.25, 3, {"a": 1})


numpy = ClientApp(client_fn=lambda context: Numpy().to_client())
plain = ClientApp(client_fn=lambda context: Plain())


def mark(message, context, call_next):
    keep(message.content, "before", ConfigRecord({"mod": True}))
    made = call_next(message, context)
    keep(made.content, "after", MetricRecord({"mod": 1}))
    return made


def app(train, mods=None):
    made = ClientApp(mods=mods)
    made.train()(train)
    return made


def count(message, context):
    state = keep(context.state, "counter", MetricRecord({"n": 0}))
    state["n"] += 1
    config = ConfigRecord({
        "run": context.run_config["name"], "node": context.node_config["partition-id"],
        "run_id": context.run_id, "node_id": context.node_id, "type": message.metadata.message_type,
        "cwd_on_path": os.getcwd() in sys.path or "" in sys.path,
        "left_over": "form" in sys.modules or "FLWR_APP_FD" in os.environ,
        "created_at": message.metadata.created_at, "group": message.metadata.group_id,
        "reply_to": message.metadata.message_id,
        "task": getattr(message.metadata, "src_task_id", 5),
        "no_task": getattr(message.metadata, "dst_task_id", None) is None,
        "series": getattr(context, "series_id", 2**64 - 2),
    })
    return reply(message, records(seen=config), ttl=5.0)


def boom(message, context):
    raise ZeroDivisionError("division by zero")


def odd_error(message, context):
    raise ValueError("a \0 and a \ud800 and ü")


def huge_int(message, context):
    return reply(message, records(r=ConfigRecord({"k": 2**64})))


def kinds(message, context):
    made = ConfigRecord({
        "bool": True, "int": -1, "big": 2**64 - 1, "float": 1.0, "str": "ü", "bytes": b"\0",
        "empty": [], "bools": [True], "ints": [1], "bigs": [1, 2**63], "floats": [1.0],
        "strs": ["a"], "blobs": [b"b"], "np": np.float64(2.0),
    })
    return reply(message, records(m=MetricRecord({"i": 1, "f": 0.5, "e": []}), c=made))


def bad_list(message, context):
    record = ConfigRecord({"k": [1]})
    record["k"].append("x")
    return reply(message, records(r=record))


def own_error(message, context):
    return error_reply(message, Error(code=77, reason="mine"))


def late(message, context):
    def work():
        threading.Event().wait(0.2)
        print("thread done")

    threading.Thread(target=work).start()
    atexit.register(lambda: print("exit handler"))
    globals()["last"] = Last()
    return reply(message, records())


class Last:
    def __del__(self, out=print):
        out("global deleted")


def unflushed(message, context):
    """Keeps a file open, and a thread that waits for the test's word before it writes the rest."""
    path = os.environ["SAMPLE_FILE"]
    rows = globals()["rows"] = open(path, "w")
    rows.write("row\n")

    def work():
        with open(path + ".pipe"):
            rows.write("the last")

    threading.Thread(target=work).start()
    return reply(message, records())


def change_node(message, context):
    context.node_config["seen"] = context.node_config.get("seen", 0) + 1
    context.node_config["on"], context.node_config["half"] = True, 0.5
    return reply(message, records())


def change_run(message, context):
    context.run_config["name"] = "new"
    return reply(message, records())


def change_node_to(value):
    def change(message, context):
        context.node_config["x"] = value
        return reply(message, records())
    return change


def limit_files(hard):
    def limit(message, context):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096 if hard else resource.RLIM_INFINITY))
        array = array_of(np.zeros(100000, np.uint8))
        return reply(message, records(a=ArrayRecord({"w": array})))
    return limit


def long(message, context):
    raise ValueError("üx " * 1000000)


def spawn(message, context):
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        total = pool.map(abs, [-1, -2])
    return reply(message, records(m=MetricRecord({"n": sum(total)})))


echo_app = app(lambda message, context: reply(message, message.content))
mods_app = app(lambda message, context: reply(message, message.content), [mark])
count_app, boom_app, odd_app, huge_app = app(count), app(boom), app(odd_error), app(huge_int)
kinds_app, bad_list_app, error_app, late_app = app(kinds), app(bad_list), app(own_error), app(late)
spawn_app = app(spawn)
long_app, unflushed_app = app(long), app(unflushed)
node_config_app, run_config_app = app(change_node), app(change_run)
config_list_app, config_huge_app = app(change_node_to([1])), app(change_node_to(2**63))
soft_limit_app, hard_limit_app = app(limit_files(False)), app(limit_files(True))
none_app = app(lambda message, context: None)
exit_app = app(lambda message, context: sys.exit(7))
die_app = app(lambda message, context: os._exit(9))
