"""Flower's classes, found by what a release has, not by its number.

Filled by load(), which imports flwr: Array, ArrayRecord, MetricRecord, ConfigRecord, RecordDict,
Message, Metadata, Context, ClientApp, version, Shape.
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
    globals()["Shape"] = shape_type()


def shape_type():
    """What an Array wants its shape to be: a list, later a tuple."""
    try:
        Array(dtype="", shape=[], stype="", data=b"")
    except TypeError:
        return tuple
    return list


def make_array(dtype, shape, stype, data):
    return Array(dtype=dtype, shape=Shape(shape), stype=stype, data=data)


def is_grouped(records):
    """To 1.15 records are three dicts, one a kind; later they are one."""
    return not hasattr(records, "items")


def make_records(items):
    """A RecordDict of (name, kind, record); kinds are 0 arrays, 1 metrics, 2 configs."""
    made = RecordDict()
    for name, kind, record in items:
        if is_grouped(made):
            group = (made.parameters_records, made.metrics_records, made.configs_records)[kind]
            group[name] = record
        else:
            made[name] = record
    return made


def each_record(records):
    """(name, kind, record) of all records."""
    if is_grouped(records):
        groups = (records.parameters_records, records.metrics_records, records.configs_records)
        for kind, group in enumerate(groups):
            for name, record in group.items():
                yield name, kind, record
        return
    for name, record in records.items():
        kind = [isinstance(record, c) for c in (ArrayRecord, MetricRecord, ConfigRecord)]
        yield name, kind.index(True), record


def known_to(class_, values):
    """Those of the values that a release's class takes."""
    import inspect

    known = inspect.signature(class_.__init__).parameters
    return {name: value for name, value in values.items() if name in known}


def make_context(values, state):
    return Context(state=state, **known_to(Context, values))


def make_message(values, content):
    """A Message with these values as metadata."""
    metadata = Metadata(**known_to(Metadata, values))
    message = Message(metadata=metadata, content=content)
    if message.metadata.created_at != values["created_at"]:
        message.metadata.created_at = values["created_at"]  # to 1.16 it is set to now
    return message
