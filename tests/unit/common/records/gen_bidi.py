"""Messages of the legacy stream as Flower's own client reads and makes them, as lines "name hex":
an instruction ("ins") and its records ("records"); records of a reply ("reply") and the message
("client"), the kind's name between the two."""

import random
import sys

from flwr.common import recordset_compat as compat
from flwr.common import serde, typing
from flwr.common.record import ConfigsRecord, RecordSet
from flwr.proto.transport_pb2 import ClientMessage, Reason, ServerMessage

random.seed(int(sys.argv[1]))


def put(name, message):
    print(name, message.SerializeToString(deterministic=True).hex())


def tensors(number):
    return [random.randbytes(random.randrange(0, 300)) for _ in range(number)]


def parameters(number):
    return typing.Parameters(tensors(number), random.choice(["numpy.ndarray", "other", ""]))


def config():
    values = [True, False, 0, 1, -5, 2**40, -(2**62), 0.0, -1.5, float("inf"), "", "text", "\u00e4", b"", b"\0\xff"]
    keys = ["", "key", "\u00e4", *(f"k{number}" for number in range(9))]
    return {key: random.choice(values) for key in random.sample(keys, random.randrange(len(keys)))}


def status():
    return typing.Status(random.choice(list(typing.Code)), random.choice(["", "ok", "\u00e4"]))


def instruction(field, proto, records):
    put("ins", ServerMessage(**{field: proto}))
    put("records", serde.recordset_to_proto(records))


def reply(kind, records, field, proto):
    put(f"reply_{kind}", serde.recordset_to_proto(records))
    put(f"client_{kind}", ClientMessage(**{field: proto}))


for number in [0, 0, 1, 1, 2, 3, 12]:
    ins = typing.FitIns(parameters(number), config())
    proto = serde.fit_ins_to_proto(ins)
    instruction("fit_ins", proto, compat.fitins_to_recordset(ins, True))
    ins = typing.EvaluateIns(parameters(number), config())
    proto = serde.evaluate_ins_to_proto(ins)
    instruction("evaluate_ins", proto, compat.evaluateins_to_recordset(ins, True))
    ins = typing.GetParametersIns(config())
    proto = serde.get_parameters_ins_to_proto(ins)
    instruction("get_parameters_ins", proto, compat.getparametersins_to_recordset(ins))
    ins = typing.GetPropertiesIns(config())
    proto = serde.get_properties_ins_to_proto(ins)
    instruction("get_properties_ins", proto, compat.getpropertiesins_to_recordset(ins))

    res = typing.FitRes(status(), parameters(number), random.randrange(2**31), config())
    records = compat.fitres_to_recordset(res, True)
    res = compat.recordset_to_fitres(records, True)
    reply("train", records, "fit_res", serde.fit_res_to_proto(res))
    res = typing.EvaluateRes(status(), random.choice([0.0, 0.25, -1.0, float("inf")]), number, config())
    records = compat.evaluateres_to_recordset(res)
    reply("evaluate", records, "evaluate_res", serde.evaluate_res_to_proto(res))
    res = typing.GetParametersRes(status(), parameters(number))
    records = compat.getparametersres_to_recordset(res, True)
    res = compat.recordset_to_getparametersres(records, True)
    reply("get_parameters", records, "get_parameters_res", serde.get_parameters_res_to_proto(res))
    res = typing.GetPropertiesRes(status(), config())
    records = compat.getpropertiesres_to_recordset(res)
    reply("get_properties", records, "get_properties_res", serde.get_properties_res_to_proto(res))

for seconds in [0, 5, 2**40]:
    records = RecordSet(configs_records={"config": ConfigsRecord({"seconds": seconds})})
    instruction("reconnect_ins", ServerMessage.ReconnectIns(seconds=seconds), records)
for reason in [Reason.UNKNOWN, Reason.RECONNECT, Reason.ACK]:
    records = RecordSet(configs_records={"config": ConfigsRecord({"reason": int(reason)})})
    reply("reconnect", records, "disconnect_res", ClientMessage.DisconnectRes(reason=reason))
