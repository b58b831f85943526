"""Modules that change what all code of a process shares, imported ahead all the same.

torch, joblib and scikit-learn set variables of the environment, filters of warnings and exit
handlers when they are imported. These belong to the app that imports them, and to no other. So the
zygote takes such changes back after the import, and puts the modules that came with it aside: out of
sys.modules. When an app imports one of them, all of these modules are there again, and the changes
are made again.
"""

import atexit
import copy
import importlib.machinery
import os
import sys
import threading
import warnings


class Changes:
    """What an import has changed: entered before it, left after it, when all is as it was."""

    def __init__(self):
        self.variables = {}  # {name: (value before, value after)}; None: not there
        self.filters = []  # of warnings, the last one first
        self.handlers = []  # of the exit: (function, arguments, arguments by name)

    def __enter__(self):
        self.environ = dict(os.environ)
        self.before = list(warnings.filters)
        self.modules = set(sys.modules)
        self.register, atexit.register = atexit.register, self.record
        self.warnings = warnings.catch_warnings()
        self.warnings.__enter__()
        self.ended = False
        return self

    def record(self, function, *args, **kwargs):
        """In the place of atexit.register(), which a module may keep. A handler of a module that was
        there before is registered: the module may do so only once."""
        if self.ended or getattr(function, "__module__", None) in self.modules:
            return self.register(function, *args, **kwargs)
        self.handlers.append((function, args, kwargs))
        return function

    def __exit__(self, *_):
        self.ended = True
        atexit.register = self.register
        self.filters = [each for each in warnings.filters if each not in self.before]
        shows = warnings.showwarning
        self.warnings.__exit__()
        warnings.showwarning = shows
        now = dict(os.environ)
        for name in self.environ.keys() | now.keys():
            before, after = self.environ.get(name), now.get(name)
            if before != after:
                self.variables[name] = before, after
                set_variable(name, before)

    def __bool__(self):
        return bool(self.variables or self.filters or self.handlers)

    def make(self):
        """Once more, for an app. A variable that the app has set otherwise stays."""
        for name, (before, after) in self.variables.items():
            if os.environ.get(name) == before:
                set_variable(name, after)
        for action, message, category, module, line in reversed(self.filters):
            texts = [each.pattern if each else "" for each in (message, module)]
            warnings.filterwarnings(action, texts[0], category, texts[1], line)
        for function, args, kwargs in self.handlers:
            atexit.register(function, *args, **kwargs)


def set_variable(name, value):
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


class Group:
    """What came with one import: modules {name: module}; names that it has added to modules that
    were there before: [(dictionary, name, value)]; needs: groups that it has used."""

    def __init__(self, changes, modules, added, needs):
        self.changes, self.modules, self.added, self.needs = changes, modules, added, needs
        self.there = False

    def come(self):
        """Its modules are there; those that an app has put in their place stay."""
        for name, module in self.modules.items():
            sys.modules.setdefault(name, module)
        for names, name, value in self.added:
            names.setdefault(name, value)

    def go(self):
        for name in self.modules:
            sys.modules.pop(name, None)
        for names, name, _ in self.added:
            names.pop(name, None)


class Returning:
    """The loader of a module that is aside."""

    def __init__(self, aside, name):
        self.aside, self.name = aside, name

    def create_module(self, spec):
        return self.aside.get(self.name)

    def exec_module(self, module):
        module.__spec__ = self.aside.specs[self.name]
        self.aside.bring(self.aside.groups[self.name])


class Aside:
    """Finds, as one of sys.meta_path, the modules that are aside. groups: {name of a module: its
    group}; specs: their own ones."""

    def __init__(self):
        self.groups, self.specs = {}, {}
        self.used = None  # groups that an import in the zygote has used
        self.lock = threading.RLock()

    def get(self, name):
        group = self.groups.get(name)
        return group.modules.get(name) if group else None

    def drop(self, name):
        """An app has another module of this name."""
        group = self.groups.pop(name, None)
        if group:
            group.modules.pop(name, None)

    def find_spec(self, name, path=None, target=None):
        group = self.groups.get(name)
        if not group or group.there or name not in self.specs:
            return None
        spec = copy.copy(self.specs[name])
        spec.loader = Returning(self, name)
        return spec

    def bring(self, group):
        """Have the group there, for the app or for an import in the zygote, which changes nothing."""
        with self.lock:
            if group.there:
                return
            group.there = True
            for each in group.needs:
                self.bring(each)
            group.come()
            if self.used is None:
                group.changes.make()
            else:
                self.used.append(group)

    def load(self, load):
        """Call load(), which imports, in the zygote: what it changes is taken back, and if that is
        anything its modules are aside."""
        before = {
            name: (vars(module), len(vars(module)))
            for name, module in list(sys.modules.items())
            if hasattr(module, "__dict__")
        }
        self.used = []
        changes = Changes()
        try:
            with changes:
                load()
        finally:
            used, self.used = self.used, None
            if changes or used:
                self.put(Group(changes, self.newer(before, used), [], used), before.values())
            for each in used:
                each.go()
                each.there = False

    @staticmethod
    def newer(before, used):
        return {
            name: module
            for name, module in sys.modules.items()
            if name not in before and not any(name in group.modules for group in used)
        }

    def put(self, group, before):
        """Aside, with what it has added to modules that were there before: their names for modules
        below them, and what they have got from it."""
        new = {id(module) for module in group.modules.values() if module}  # None: no such module
        for names, size in before:
            for name in list(names)[size:]:
                value = names[name]
                if id(value) in new or getattr(value, "__module__", None) in group.modules:
                    group.added.append((names, name, value))
        for name, module in group.modules.items():
            self.groups[name] = group
            spec = getattr(module, "__spec__", None)
            if isinstance(spec, importlib.machinery.ModuleSpec) and spec.name == name:
                self.specs[name] = spec
        group.go()
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
