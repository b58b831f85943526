"""What the judge needs of Flower's interfaces, by today's names: Flower 1.15 has others."""

try:
    from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp

    OLD = False
except ImportError:
    from flwr.client import ClientApp
    from flwr.common import ConfigsRecord as ConfigRecord
    from flwr.common import MetricsRecord as MetricRecord
    from flwr.common import ParametersRecord as ArrayRecord
    from flwr.common import RecordSet as RecordDict
    from flwr.common.record.parametersrecord import Array
    from flwr.server import ServerApp

    OLD = True

__all__ = ["Array", "ArrayRecord", "ClientApp", "ConfigRecord", "MetricRecord", "ServerApp"]


def records(arrays=None, metrics=None, configs=None):
    """The content of a message: records by their names."""
    arrays, metrics, configs = arrays or {}, metrics or {}, configs or {}
    if OLD:
        return RecordDict(arrays, metrics, configs)
    return RecordDict({**arrays, **metrics, **configs})


def arrays_of(content):
    return content.parameters_records if OLD else content.array_records


def metrics_of(content):
    return content.metrics_records if OLD else content.metric_records


def configs_of(content):
    return content.configs_records if OLD else content.config_records


def instruction(grid, content, kind, node, group, ttl):
    """A message to a node."""
    if OLD:
        return grid.create_message(content, kind, node, group, ttl)
    return Message(content, node, kind, ttl=ttl, group_id=group)


def reply_to(message, content):
    return message.create_reply(content) if OLD else Message(content, reply_to=message)


def replied_to(metadata):
    """The id of the message that this is the reply to."""
    return metadata.reply_to_message if OLD else metadata.reply_to_message_id


def tasks_of(metadata):
    """The tasks at both ends, which releases before 1.30 do not know."""
    return [getattr(metadata, "src_task_id", None), getattr(metadata, "dst_task_id", None)]
