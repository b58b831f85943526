"""Flower's error code of an app whose module is not there, as this release's own loading has it."""

try:
    from flwr.common.object_ref import load_app
except ImportError:
    from flwr.supercore.object_ref import load_app


class LoadError(Exception):
    """Stands for LoadClientAppError."""


try:
    load_app("not_a_module_of_anyone:app", LoadError, ".")
except LoadError:
    print(1)
except ModuleNotFoundError:
    print(2)
