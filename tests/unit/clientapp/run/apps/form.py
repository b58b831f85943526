# a name that the bridge has too
from sample import echo_app as app
