"""The app form: a task is read, a reply is written. docs/app-form.md describes it."""

import fcntl
import mmap
import os
import resource
import struct

VERSION = 4
MAGIC = b"FLWA"
HEADER = struct.Struct("<4sHHQQQ")  # magic, version, content, head_start, head_bytes, data_start
TASK, REPLY = 1, 2
ALIGN = 64

# Kinds of values; a list's kind is its elements' plus LIST.
DOUBLE, SINT, UINT, BOOL, STRING, BYTES = range(1, 7)
LIST = 6
ELEMENT = {DOUBLE: "d", SINT: "q", UINT: "Q", BOOL: "?"}
ARRAYS, METRICS, CONFIGS = range(3)

# What Flower's own encoder takes for a value made in Python: the first type that fits.
TYPES = {
    METRICS: ((float, DOUBLE), (int, SINT)),
    CONFIGS: ((bool, BOOL), (int, SINT), (float, DOUBLE), (str, STRING), (bytes, BYTES)),
}
# And for a value of a node's or a run's configuration.
USER_TYPES = ((bool, BOOL), (float, DOUBLE), (int, SINT), (str, STRING))
SINT_MAX = 2**63 - 1


class Kinds:
    """Kinds that Python's types do not keep (a small uint64, an empty list of doubles), so that
    what the app does not touch goes back as it came."""

    def __init__(self):
        # id -> (record, kept so that no other gets its id; key -> (value, kind))
        self.records = {}

    def note(self, record, key, value, kind):
        self.records.setdefault(id(record), (record, {}))[1][key] = (value, kind)

    def noted(self, record, key, value):
        """The kind that an untouched value came with; None: it is new, or of its natural kind."""
        noted = self.records.get(id(record), (None, {}))[1].get(key)
        return noted[1] if noted and noted[0] is value else None

    def kind_of(self, record, record_kind, key, value):
        kind = self.noted(record, key, value)
        if kind:
            if not isinstance(value, list) or not value:
                return kind
            if kind == UINT + LIST and all(type(v) is int and v >= 0 for v in value):
                return kind
        return natural_kind(record_kind, value)


def natural_kind(record_kind, value):
    for type_, kind in TYPES[record_kind]:
        if isinstance(value, type_):
            return UINT if kind == SINT and value > SINT_MAX else kind
        if isinstance(value, list) and all(isinstance(v, type_) for v in value):
            if kind == SINT and any(v > SINT_MAX for v in value):
                kind = UINT
            return kind + LIST
    raise TypeError(f"a value of type {type(value).__name__} cannot be in a record")


def user_kind(name, key, value):
    for type_, kind in USER_TYPES:
        if isinstance(value, type_):
            return kind
    raise ValueError(f"'{key}' of the Context's {name} is of type {type(value).__name__}")


class Task:
    """message, context, run_config (as it came), kinds, app_dir, fab_id, fab_version, fab_hash."""


class Reader:
    def __init__(self, file, flower, kinds):
        _, _, _, head_start, head_bytes, self.data_start = HEADER.unpack_from(file)
        self.file = file
        self.head = file[head_start : head_start + head_bytes]
        self.at = 0
        self.flower = flower
        self.kinds = kinds

    def number(self, format_):
        value = struct.unpack_from("<" + format_, self.head, self.at)[0]
        self.at += struct.calcsize("<" + format_)
        return value

    def blob(self):
        size = self.number("I")
        self.at += size
        return self.head[self.at - size : self.at]

    def text(self):
        return self.blob().decode()

    def value(self):
        """(value, kind)"""
        kind = self.number("B")
        element = kind - LIST if kind > LIST else kind
        read = {STRING: self.text, BYTES: self.blob}.get(element)
        if kind <= LIST:
            return (read() if read else self.number(ELEMENT[kind])), kind
        count = self.number("I")
        if read:
            return [read() for _ in range(count)], kind
        format_ = f"<{count}{ELEMENT[element]}"
        values = list(struct.unpack_from(format_, self.head, self.at))
        self.at += struct.calcsize(format_)
        return values, kind

    def config(self):
        config = {}
        for _ in range(self.number("I")):
            key = self.text()
            config[key], kind = self.value()
            self.kinds.note(config, key, config[key], kind)
        return config

    def values(self, kind):
        record = self.flower.MetricRecord() if kind == METRICS else self.flower.ConfigRecord()
        for _ in range(self.number("I")):
            key = self.text()
            value, value_kind = self.value()
            record[key] = value
            if natural_kind(kind, value) != value_kind:
                self.kinds.note(record, key, value, value_kind)
        return record

    def arrays(self):
        record = self.flower.ArrayRecord()
        for _ in range(self.number("I")):
            key, dtype, stype = self.text(), self.text(), self.text()
            shape = tuple(self.number("i") for _ in range(self.number("I")))
            start = self.data_start + self.number("Q")
            data = self.file[start : start + self.number("Q")]  # the one copy
            record[key] = self.flower.make_array(dtype, shape, stype, data)
        return record

    def records(self):
        items = []
        for _ in range(self.number("I")):
            name, kind = self.text(), self.number("B")
            items.append((name, kind, self.arrays() if kind == ARRAYS else self.values(kind)))
        return self.flower.make_records(items)

    def metadata(self):
        run_id, message_id = self.number("Q"), self.text()
        source, destination, reply_to = self.number("Q"), self.number("Q"), self.text()
        group_id, ttl, message_type = self.text(), self.number("d"), self.text()
        created_at, tasks = self.number("d"), self.number("B")
        source_task, destination_task = self.number("Q"), self.number("Q")
        return {
            "run_id": run_id,
            "message_id": message_id,
            "src_node_id": source,
            "dst_node_id": destination,
            "reply_to_message": reply_to,
            "reply_to_message_id": reply_to,
            "group_id": group_id,
            "ttl": ttl,
            "message_type": message_type,
            "created_at": created_at,
            "src_task_id": source_task if tasks & 1 else None,
            "dst_task_id": destination_task if tasks & 2 else None,
        }


def read_task(flower, fd):
    task = Task()
    task.kinds = Kinds()
    size = os.fstat(fd).st_size
    with mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as file:
        reader = Reader(file, flower, task.kinds)
        task.message = flower.make_message(reader.metadata(), reader.records())
        run_id, node_id, series_id = (reader.number("Q") for _ in range(3))
        node_config, run_config = reader.config(), reader.config()
        values = {
            "run_id": run_id,
            "node_id": node_id,
            "series_id": series_id,
            "node_config": node_config,
            "run_config": run_config,
        }
        task.run_config = dict(run_config)
        task.context = flower.make_context(values, reader.records())
        task.app_dir = reader.text()
        task.fab_id, task.fab_version, task.fab_hash = (reader.text() for _ in range(3))
    return task


class Writer:
    def __init__(self):
        self.head = []
        self.data = []  # array bytes and what aligns them
        self.data_bytes = 0

    def number(self, format_, value):
        self.head.append(struct.pack("<" + format_, value))

    def blob(self, data):
        self.number("I", len(data))
        self.head.append(data)

    def text(self, text):
        """A text of ours or of an exception: what cannot be in one is escaped."""
        self.blob(text.replace("\0", "\\x00").encode("utf-8", "backslashreplace"))

    def name(self, text):
        if "\0" in text:
            raise ValueError(f"a name cannot have a NUL inside: {text!r}")
        self.blob(text.encode())

    def value(self, kind, value):
        self.number("B", kind)
        if kind == STRING:
            self.blob(value.encode())
        elif kind == BYTES:
            self.blob(value)
        elif kind <= LIST:
            self.number(ELEMENT[kind], value)
        else:
            self.elements(kind - LIST, value)

    def elements(self, element, values):
        self.number("I", len(values))
        if element in ELEMENT:
            self.head.append(struct.pack(f"<{len(values)}{ELEMENT[element]}", *values))
            return
        for value in values:
            self.blob(value.encode() if element == STRING else value)

    def values(self, record_kind, name, record, kinds):
        self.number("I", len(record))
        for key, value in record.items():
            self.name(key)
            try:
                self.value(kinds.kind_of(record, record_kind, key, value), value)
            except struct.error as ex:
                raise OverflowError(f"'{key}' of record '{name}' is beyond 64 bits") from ex

    def array(self, key, array):
        self.name(key)
        self.name(array.dtype)
        self.name(array.stype)
        self.number("I", len(array.shape))
        for dimension in array.shape:
            self.number("i", dimension)
        data = memoryview(array.data).cast("B")
        pad = -self.data_bytes % ALIGN
        self.data += [bytes(pad), data]
        self.data_bytes += pad
        self.number("Q", self.data_bytes)
        self.number("Q", len(data))
        self.data_bytes += len(data)

    def records(self, flower, records, kinds):
        items = list(flower.each_record(records))
        self.number("I", len(items))
        for name, kind, record in items:
            self.name(name)
            self.number("B", kind)
            if kind != ARRAYS:
                self.values(kind, name, record, kinds)
                continue
            self.number("I", len(record))
            for key, array in record.items():
                self.array(key, array)

    def config(self, name, config, kinds):
        self.number("I", len(config))
        for key, value in config.items():
            self.name(key)
            try:
                kind = kinds.noted(config, key, value) or user_kind(name, key, value)
                self.value(kind, value)
            except struct.error as ex:
                raise OverflowError(f"'{key}' of the Context's {name} is beyond 64 bits") from ex

    def context(self, flower, task):
        """What the app left of it; without a task: nothing."""
        if task:
            flower.check_context(task.context, task.run_config)
        self.number("B", 1 if task else 0)
        if not task:
            return
        self.records(flower, task.context.state, task.kinds)
        self.config("node_config", task.context.node_config, task.kinds)
        self.config("run_config", task.context.run_config, task.kinds)

    def error(self, code, reason, short):
        self.number("B", 1)
        self.number("q", code)
        self.text(reason)
        self.text(short)

    def metadata(self, group_id="", ttl=0.0, message_type=""):
        self.name(group_id)
        self.number("d", ttl)
        self.name(message_type)

    def head_end(self):
        return HEADER.size + sum(len(piece) for piece in self.head)

    def data_start(self):
        return (self.head_end() + ALIGN - 1) // ALIGN * ALIGN

    def size(self):
        return self.data_start() + self.data_bytes

    def write(self, fd):
        """All of it to the file fd, in the place of what is in it, sealed then; the file's size."""
        head = b"".join(self.head)
        head_end, data_start = self.head_end(), self.data_start()
        header = HEADER.pack(MAGIC, VERSION, REPLY, HEADER.size, len(head), data_start)
        # Small pieces are gathered, large ones go from where they lie.
        with open(fd, "wb", buffering=1 << 20, closefd=False) as file:
            file.seek(0)
            for piece in (header, head, bytes(data_start - head_end), *self.data):
                file.write(piece)
            file.truncate()
        # Older Pythons lack the names: F_ADD_SEALS; SEAL, SHRINK, GROW, WRITE.
        fcntl.fcntl(fd, 1033, 1 | 2 | 4 | 8)
        return self.size()


def write_unlimited(writer, fd):
    """Write a reply, past the limit that the app may have set for its own files; the file's size."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit[1], limit[1]))
    try:
        return writer.write(fd)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def limit_text():
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    if hard == resource.RLIM_INFINITY:
        return ""
    return f"; files of its process are limited to {hard} bytes (RLIMIT_FSIZE)"


def reply(flower, message, task):
    """What the app returned, and the Context that it left, as a Writer."""
    writer = Writer()
    metadata = message.metadata
    if message.has_error():
        writer.error(message.error.code, message.error.reason or "", "")
    else:
        writer.number("B", 0)
        writer.number("q", 0)
        writer.text("")
        writer.text("")
    writer.metadata(metadata.group_id, metadata.ttl, metadata.message_type)
    if message.has_error():
        writer.number("I", 0)
    else:
        writer.records(flower, message.content, task.kinds)
    writer.context(flower, task)
    return writer


def failure(flower, code, reason, short, task=None):
    """The error reply of an app that was not loaded or raised, as a Writer. With its task: and the
    Context that the app left, which Flower keeps after an exception, too."""
    writer = Writer()
    writer.error(code, reason, short)
    writer.metadata()
    writer.number("I", 0)  # no content
    writer.context(flower, task)
    return writer
