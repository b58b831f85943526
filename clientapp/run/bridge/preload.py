"""The second stage of the zygote, of one run: an app is loaded, and its flwr_preload() is called, before
there is a message for it."""

import traceback

from .state import State, Unfit

NAME = "flwr_preload"


def preload_function(app, modules):
    """The function flwr_preload of the module, one that came late, that has this ClientApp; None: there
    is none."""
    for _, module in modules.late():
        names = getattr(module, "__dict__", {})
        if callable(names.get(NAME)) and any(value is app for value in names.values()):
            return names[NAME]
    return None


class Preloaded:
    """app, its ClientApp; function, its flwr_preload, which has been called; result, what that has
    returned. Unfit: no fork could live with what it did, or it failed."""

    def __init__(self, load_app, app_dir, names, modules):
        state = State(learnt=False)
        try:
            self.app = load_app(app_dir, *names)
            self.function = preload_function(self.app, modules)
            if self.function is None:
                raise Unfit("it is not there any more")
            self.result = self.function()
        except Unfit:
            raise
        except BaseException as ex:  # also what ends a program
            traceback.print_exc()
            raise Unfit(f"it raises {type(ex).__name__}") from ex
        complaint = state.complaint()
        if complaint:
            raise Unfit(complaint)
