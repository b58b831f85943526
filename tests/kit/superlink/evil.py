"""A SuperLink in the hands of the test: a Link, what carries it, and a relay in front of it."""

from federation.superlink.grpc_link import AdapterLink, GrpcLink
from federation.superlink.http_link import HttpLink, RestLink
from federation.superlink.link import Link
from federation.superlink.protos import newest, own, protos_of

from ..relay import Relay
from .fab import make_fab
from .parcels import ObjectMaker, PlainMaker

CARRIERS = {"grpc": GrpcLink, "http": HttpLink, "adapter": AdapterLink, "rest": RestLink}
# Transports of one protocol say the same by the same statuses.
PROTOCOLS = {"grpc": "grpc", "adapter": "grpc", "http": "http", "rest": "http"}


class EvilSuperLink(Link):
    """dialect: "A", "B" or "C"; transport: one of CARRIERS ("http": C only)."""

    def __init__(self, dialect="A", transport="grpc"):
        protos = own() if dialect == "A" else protos_of(newest())
        super().__init__(dialect, protos, lambda run_id: make_fab(f"# of run {run_id}\n"), own())
        self.maker = PlainMaker() if dialect == "A" else ObjectMaker(newest())
        self.carrier = CARRIERS[transport](self)
        self.relay = Relay(self.carrier.port)
        self.address = f"127.0.0.1:{self.relay.port}"

    def make(self, **what):
        """A good message for the node; its Parcel."""
        return self.maker.make(self.node_id, **what)

    def send(self, **what):
        """A good message waits to be pulled from now on; its Parcel."""
        return self.hand_in(self.make(**what))

    def close(self):
        self.carrier.close()
        self.relay.close()
        self.maker.close()
