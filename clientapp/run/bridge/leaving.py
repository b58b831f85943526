"""How a fork of the zygote ends: it leaves alone what the zygote has made."""

import atexit
import ctypes
import gc
import sys
import threading


class Last:
    """What the interpreter finalizes last of all that an app can see: a name in sys. What it does after
    that is to give memory back, piece by piece, which the end of the process does at once. C's own
    exit handlers run. Nothing else can be used in it: the modules have been cleared."""

    def __init__(self):
        self.collect, self.exit = gc.collect, ctypes.PyDLL(None).exit

    def __del__(self):
        self.collect()
        self.exit(0)


class Leaving:
    """Has the interpreter leave out, at the end of a fork, the modules of the zygote that are as
    they were, and what it has noted of them: to clear them would first copy them, page by page. It
    runs after all other exit handlers, where it can."""

    def __init__(self, modules):
        self.modules = modules
        self.sizes = None
        self.kept = [self]
        self.replied = False  # else the exit status is the app's
        self.last = getattr(atexit, "_ncallbacks", lambda: 1)() == 0
        if self.last:
            atexit.register(self.leave)

    def arm(self, own=None):
        """Modules in the folder own belong to an app, and end as ever."""
        if self.last:
            used = ("sys", "builtins", "__main__")
            self.sizes = [
                (name, module, len(vars(module)))
                for name, module in self.modules.here().items()
                if name not in used
                and hasattr(module, "__dict__")
                and not (own and str(getattr(module, "__file__", "")).startswith(own))
            ]

    def keep(self, thing):
        """Leave this alone, too: what an app has loaded ahead."""
        self.kept.append(thing)

    def leave(self):
        if not self.sizes or threading.active_count() > 1:
            return
        kept = self.kept
        for name, module, size in self.sizes:
            if sys.modules.get(name) is module and len(vars(module)) == size:
                del sys.modules[name]
                kept.append(module)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
        if self.replied:
            sys.flwr_native_last = Last()
