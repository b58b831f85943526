"""An operator's hooks: tell of each module from outside the installation, and of each app that is loaded."""

import os
import sys
from importlib.machinery import PathFinder

HERE = tuple({os.path.realpath(p) for p in (sys.prefix, sys.base_prefix, os.path.dirname(os.__file__))})
LOADERS = ("flwr.clientapp.utils", "flwr.client.clientapp.utils")


def say(*words):
    print("guard:", *words, flush=True)


class Loader:
    def __init__(self, wrapped):
        self.create_module = wrapped.create_module
        self.wrapped = wrapped

    def exec_module(self, module):
        self.wrapped.exec_module(module)
        load_app, get = module.load_app, module.get_load_client_app_fn

        def guarded_load_app(reference, *more, **named):
            say("load_app", reference)
            return load_app(reference, *more, **named)

        def guarded_get(*more, **named):
            load = get(*more, **named)

            def guarded(*what):
                say("load", *what)
                return load(*what)

            return guarded

        module.load_app, module.get_load_client_app_fn = guarded_load_app, guarded_get


class Finder:
    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path)
        if spec and spec.origin and os.path.exists(spec.origin):
            if not os.path.realpath(spec.origin).startswith(HERE):
                say("foreign", name)
            if name in LOADERS:
                spec.loader = Loader(spec.loader)
                return spec
        return None


sys.meta_path.insert(0, Finder())
