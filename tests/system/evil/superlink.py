"""One evil SuperLink: a Link, what carries it, and the line to it."""

import sys
from functools import cache

from .grpc_link import AdapterLink, GrpcLink
from .http_link import HttpLink, RestLink
from .line import Line
from .link import Link
from .parcel import ObjectMaker, PlainMaker
from .protos import Protos, newest

CARRIERS = {"grpc": GrpcLink, "http": HttpLink, "adapter": AdapterLink, "rest": RestLink}
# Those that say the same by the same statuses.
LINES = {"grpc": "grpc", "adapter": "grpc", "http": "http", "rest": "http"}


@cache
def protos_of(environment):
    return Protos(environment)


class EvilSuperLink:
    """dialect: "A", "B" or "C"; transport: one of CARRIERS ("http": C only)."""

    def __init__(self, dialect="A", transport="grpc"):
        oldest = protos_of(sys.prefix)
        if dialect == "A":
            protos, maker = oldest, PlainMaker(oldest)
        else:
            protos = protos_of(newest())
            maker = ObjectMaker(protos, newest())
        self.maker = maker
        self.link = Link(dialect, protos, oldest, maker)
        self.carrier = CARRIERS[transport](self.link)
        self.line = Line(self.carrier.port)
        self.address = f"127.0.0.1:{self.line.port}"

    def close(self):
        self.carrier.close()
        self.line.close()
        self.maker.close()
