"""Stand-ins for the SuperLink that are measured with. Messages are made before they are handed out and
read after they came, so that what is measured is the node's work."""

import time

import numpy as np
from flwr.common import FitIns, ndarrays_to_parameters

from .superlink.link import Fab, Link
from .superlink.parcel import make_plain, metadata, plain_content
from .superlink.protos import own


FIT = FitIns(ndarrays_to_parameters([np.zeros(4, dtype=np.float32)]), {})  # of a client


class StandIn(Link):
    """A subclass makes messages, by make(arrays, order), and those of a client, by make_fit()."""

    def __init__(self, dialect, carrier, fab, certificates=None):
        super().__init__(dialect, own(), lambda run_id: Fab(*fab, "flwr-native/tiny"))
        self.on_reply = None
        self.carrier = carrier(self, certificates)
        self.address, self.close = self.carrier.address, self.carrier.close

    def forget(self):
        """The next node may come."""
        with self.changed:
            self.online, self.waiting, self.on_reply = None, [], None

    def room(self, size):
        """The next reply and its objects have so many bytes; the last ones are forgotten."""
        self.replies.clear()
        self.carrier.reserve(size)

    def send(self, arrays=None, **order):
        """A message that is ready now."""
        return self.hand_in_ready(self.make(arrays, order))

    def send_fit(self):
        """One for a client."""
        return self.hand_in_ready(self.make_fit())

    def hand_in_ready(self, parcel):
        answer = self.protos.PullMessagesResponse(messages_list=[parcel.message])
        if parcel.tree is not None:
            answer.message_object_trees.append(parcel.tree)
        parcel.message = self.carrier.ready("PullMessages", answer.SerializeToString())
        parcel.content = None
        return self.hand_in(parcel)

    def hand_out(self, parcel, response):
        parcel.pulled = time.time()
        self.handed_out[parcel.id] = parcel
        answer, parcel.message = parcel.message, None  # large ones would add up
        return answer

    def complete(self, reply):
        """The call is not answered yet: the next message is then ready."""
        super().complete(reply)
        if self.on_reply:
            self.on_reply(reply.came)

    def check(self, programs, reply):
        if reply.message.HasField("error"):
            raise RuntimeError(f"{programs}: {reply.message.error}")


class PlainStandIn(StandIn):
    """A SuperLink of Flower 1.15."""

    def __init__(self, *arguments):
        super().__init__("A", *arguments)
        self.kept = self.content = None

    def make(self, arrays, order):
        if arrays is None or self.kept is not arrays:  # those are sent again and again
            self.kept, self.content = arrays, plain_content(order, arrays)
        return make_plain(metadata(self.protos, self.node_id), self.content)

    def make_fit(self):
        from flwr.common.recordset_compat import fitins_to_recordset
        from flwr.common.serde import recordset_to_proto

        its = metadata(self.protos, self.node_id, message_type="train")
        return make_plain(its, recordset_to_proto(fitins_to_recordset(FIT, True)))

    def times(self, reply):
        """When the app began and ended."""
        times = reply.message.content.metrics["times"].data
        return times["began"].double, times["ended"].double
