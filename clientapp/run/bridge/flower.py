"""Flower's classes, found by what a release has, not by its number.

Filled by load(), which imports flwr: Array, ArrayRecord, MetricRecord, ConfigRecord, RecordDict,
Message, Metadata, Context, ClientApp, version.
"""

NAMES = {
    "Array": ("Array",),
    "ArrayRecord": ("ArrayRecord", "ParametersRecord"),
    "MetricRecord": ("MetricRecord", "MetricsRecord"),
    "ConfigRecord": ("ConfigRecord", "ConfigsRecord"),
    "RecordDict": ("RecordDict", "RecordSet"),
    "Message": ("Message",),
    "Metadata": ("Metadata",),
    "Context": ("Context",),
}


def find(modules, names):
    import importlib

    for module in modules:
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as ex:
            if ex.name != module:
                raise
            continue
        for name in names:
            if hasattr(found, name):
                return getattr(found, name)
    raise ImportError(f"no {names[0]} in this release of flwr")


def load():
    import flwr

    for ours, theirs in NAMES.items():
        globals()[ours] = find(("flwr.app", "flwr.common", "flwr.common.message"), theirs)
    globals()["ClientApp"] = find(("flwr.clientapp", "flwr.client"), ("ClientApp",))
    globals()["version"] = getattr(flwr, "__version__", "of unknown release")


def make_records(items):
    """A RecordDict of (name, kind, record); kinds are 0 arrays, 1 metrics, 2 configs."""
    made = RecordDict()
    for name, kind, record in items:
        if hasattr(made, "parameters_records") and not hasattr(made, "array_records"):
            group = (made.parameters_records, made.metrics_records, made.configs_records)[kind]
            group[name] = record
        else:
            made[name] = record
    return made


def each_record(records):
    """(name, kind, record) of all records."""
    if hasattr(records, "parameters_records") and not hasattr(records, "array_records"):
        groups = (records.parameters_records, records.metrics_records, records.configs_records)
        for kind, group in enumerate(groups):
            for name, record in group.items():
                yield name, kind, record
        return
    for name, record in records.items():
        kind = [isinstance(record, c) for c in (ArrayRecord, MetricRecord, ConfigRecord)]
        yield name, kind.index(True), record


def make_message(values, content):
    """A Message with the metadata in values, of which a release takes those that it knows."""
    import inspect

    known = inspect.signature(Metadata.__init__).parameters
    metadata = Metadata(**{name: value for name, value in values.items() if name in known})
    message = Message(metadata=metadata, content=content)
    if message.metadata.created_at != values["created_at"]:
        message.metadata.created_at = values["created_at"]  # to 1.15 it is set to now
    return message
