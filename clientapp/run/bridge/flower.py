"""Flower's classes and functions, found by what a release has, not by its number.

Filled by load(), which imports flwr: Array, ArrayRecord, MetricRecord, ConfigRecord, RecordDict,
Message, Metadata, Context, LoadClientAppError, loading, version, Shape.
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


def modules_of(names):
    """Those of these modules that the release has."""
    import importlib

    for name in names:
        try:
            yield importlib.import_module(name)
        except ModuleNotFoundError as ex:
            # Neither it nor the package that it would be in.
            if not (name + ".").startswith(str(ex.name) + "."):
                raise


def has_module(name):
    import importlib.util

    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def find(modules, names):
    for module in modules_of(modules):
        for name in names:
            if hasattr(module, name):
                return getattr(module, name)
    raise ImportError(f"no {names[0]} in this release of flwr")


def load():
    import flwr

    for ours, theirs in NAMES.items():
        globals()[ours] = find(("flwr.app", "flwr.common", "flwr.common.message"), theirs)
    globals()["loading"] = loading_module()
    globals()["LoadClientAppError"] = find(
        ("flwr.clientapp.client_app", "flwr.client.client_app"), ("LoadClientAppError",)
    )
    globals()["version"] = getattr(flwr, "__version__", "of unknown release")
    globals()["Shape"] = shape_type()


def loading_module():
    """Where Flower's own worker takes its loading function from."""
    for module in modules_of(("flwr.clientapp.utils", "flwr.client.clientapp.utils")):
        if hasattr(module, "get_load_client_app_fn"):
            return module
    raise ImportError("no get_load_client_app_fn in this release of flwr")


def load_app(app_dir, fab_id, fab_version, fab_hash):
    """The ClientApp that app_dir's pyproject.toml names, loaded as Flower's worker loads it; the
    function is looked up now, because an operator may have put a guard in its place."""
    load = loading.get_load_client_app_fn(default_app_ref="", app_path=app_dir, multi_app=True)
    return load(fab_id, fab_version, fab_hash)


def check_context(context, run_config):
    """Raise what Flower's node raises when it takes back a Context whose run_config, which was
    run_config, it does not let an app change."""
    if context.run_config == run_config or has_module("flwr.supernode.start_client_internal"):
        return
    store_type = find(("flwr.client.run_info_store",), ("DeprecatedRunInfoStore",))
    info = find(("flwr.client.run_info_store",), ("RunInfo",))
    store = store_type(node_id=context.node_id, node_config={})
    store.run_infos[context.run_id] = info(context=context, initial_run_config=run_config)
    store.update_context(context.run_id, context)


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
