"""Flower's names as this release's own apps write them: to 1.16, from 1.17 on, from 1.21 on."""

import inspect

try:
    from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
except ImportError:
    from flwr.client import ClientApp
    from flwr.common import Array, Error, Message

    try:
        from flwr.common import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
    except ImportError:
        from flwr.common import ConfigsRecord as ConfigRecord
        from flwr.common import MetricsRecord as MetricRecord
        from flwr.common import ParametersRecord as ArrayRecord
        from flwr.common import RecordSet as RecordDict

__all__ = ["Array", "ArrayRecord", "ClientApp", "ConfigRecord", "Error", "MetricRecord"]
GROUPED = not hasattr(RecordDict, "items")
REPLY_TO = "reply_to" in inspect.signature(Message.__init__).parameters


def array_of(values):
    """An Array of a NumPy array."""
    try:
        return Array(values)
    except TypeError:
        from flwr.common import array_from_numpy

        return array_from_numpy(values)


def group_of(records, record):
    """The mapping that a record of this kind belongs into."""
    if not GROUPED:
        return records
    if isinstance(record, MetricRecord):
        return records.metrics_records
    return records.configs_records if isinstance(record, ConfigRecord) else records.parameters_records


def keep(records, name, record):
    """The record of that name, which is this one when there is none."""
    return group_of(records, record).setdefault(name, record)


def records(**named):
    made = RecordDict()
    for name, record in named.items():
        keep(made, name, record)
    return made


def reply(message, content, ttl=None):
    if REPLY_TO:
        return Message(content, reply_to=message, ttl=ttl)
    return message.create_reply(content, ttl=ttl)


def error_reply(message, error):
    if REPLY_TO:
        return Message(error, reply_to=message)
    return message.create_error_reply(error)
