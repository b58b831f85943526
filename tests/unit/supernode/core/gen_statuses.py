"""Prints how Flower's own ClientAppIo servicer answers sequences of calls.

One line each: "<calls> <statuses>". Calls: s an instruction is set (its worker has the token);
P pull, p pull with another token; O push, o push with another token. With the argument "process":
w an instruction is set (a worker has to ask for the token); g the token is asked for. A push that
was taken is fetched at once, which ends the instruction. Statuses, one letter a call: 0 OK, - for
s and w, F FAILED_PRECONDITION, I INVALID_ARGUMENT.
"""
import itertools
import sys

import grpc
from flwr.client.clientapp.clientappio_servicer import ClientAppInputs, ClientAppIoServicer
from flwr.common import Context, Message, Metadata, RecordSet
from flwr.common.serde import context_to_proto, message_to_proto
from flwr.common.typing import Run
from flwr.proto.clientappio_pb2 import (
    GetTokenRequest,
    PullClientAppInputsRequest,
    PushClientAppOutputsRequest,
)

MESSAGE = Message(Metadata(1, "id", 1, 2, "", "3", 100.0, "train"), content=RecordSet())
CONTEXT = Context(run_id=1, node_id=2, node_config={}, state=RecordSet(), run_config={})
LETTERS = {grpc.StatusCode.FAILED_PRECONDITION: "F", grpc.StatusCode.INVALID_ARGUMENT: "I"}


class Aborted(Exception):
    pass


class Call:
    def abort(self, code, _details):
        raise Aborted(LETTERS[code])


def one(servicer, call):
    token = 5 if call in "PO" else 6
    if call in "sw":
        run = Run.create_empty(run_id=1)
        inputs = ClientAppInputs(MESSAGE, CONTEXT, run, None, 5)
        servicer.set_inputs(inputs, token_returned=call == "s")
        return "-"
    try:
        if call == "g":
            servicer.GetToken(GetTokenRequest(), Call())
        elif call in "Pp":
            servicer.PullClientAppInputs(PullClientAppInputsRequest(token=token), Call())
        else:
            request = PushClientAppOutputsRequest(
                token=token, message=message_to_proto(MESSAGE), context=context_to_proto(CONTEXT)
            )
            servicer.PushClientAppOutputs(request, Call())
            servicer.get_outputs()
    except Aborted as aborted:
        return str(aborted)
    return "0"


letters, first = ("gPpOo", "w") if sys.argv[1:] == ["process"] else ("PpOo", "s")
for length in range(1, 5):
    for calls in itertools.product(letters, repeat=length):
        for start in ("", first):
            servicer = ClientAppIoServicer()
            sequence = start + "".join(calls)
            print(sequence, "".join(one(servicer, call) for call in sequence))
