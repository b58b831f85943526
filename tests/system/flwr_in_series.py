"""`flwr` of the Python that this is run by: runs that it starts are of the series that is named
first. Its command line has nothing for that (1.41)."""

import functools
import sys

from flwr.cli.app import app

run = sys.modules["flwr.cli.run.run"]  # by its other name there is a function
run.StartRunRequest = functools.partial(run.StartRunRequest, series_id=int(sys.argv.pop(1)))
app()
