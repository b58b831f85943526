"""What an evil SuperLink says in place of an answer: steps for Link.script()."""

from .link import Never, Raw, Refusal


def honest(call):
    return call.answer()


def refuse(status, text="no, says the test", code=None, http=None):
    """A status in place of the answer; nothing has happened at the SuperLink."""

    def step(call):
        raise Refusal(status, text, code, http)

    return step


def raw(body, head=None):
    """These bytes in place of the answer."""
    return lambda call: Raw(body, head)


def wire(head, body=b"", stays=False):
    """These bytes over HTTP, lines of a head first, then the connection ends, or stays as it is."""
    text = "\r\n".join(head) + "\r\n\r\n"
    return lambda call: Raw(body, text.encode(), stays)


def misname(name="PullObjectResponse"):
    """The honest answer in a container of the adapter that calls it something else."""
    return lambda call: Raw(call.answer().SerializeToString(), name=name)


def contain(container):
    """These bytes in place of the adapter's container."""
    return lambda call: Raw(call.answer().SerializeToString(), container=container)


def never(call):
    """No answer, until the node gives up or the connection ends."""
    raise Never


def edit(change):
    """The honest answer, changed: change(response)"""

    def step(call):
        response = call.answer()
        change(response)
        return response

    return step


def spoil(change):
    """The bytes of the honest answer, changed: change(bytes) -> bytes"""
    return lambda call: Raw(change(call.answer().SerializeToString()))


def after(step):
    """Done as it should be, but the answer is lost: what the step says is said instead."""

    def both(call):
        call.answer()
        return step(call)

    return both


# ---- wire format by hand: what no library would write ----


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, content):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def deep(number, depth):
    """A message whose field of this number is such a message, and so on; by far too deep to be read
    by recursion."""
    pieces, size = [], 0
    for _ in range(depth):
        head = varint(number << 3 | 2) + varint(size)
        pieces.append(head)
        size += len(head)
    return b"".join(reversed(pieces))


def fake_id(number):
    return f"{number:064x}"


def deep_tree(depth):
    """An ObjectTree, each object in it the only child of the one before."""
    pieces, size = [], 0
    for number in range(depth):
        own = field(1, fake_id(number).encode())
        head = own + (varint(2 << 3 | 2) + varint(size) if number else b"")
        pieces.append(head)
        size += len(head)
    return b"".join(reversed(pieces))


def wide_tree(children):
    """An ObjectTree whose root has so many."""
    parts = [field(1, fake_id(0).encode())]
    parts += [field(2, field(1, fake_id(number).encode())) for number in range(1, children + 1)]
    return b"".join(parts)


def with_tree(link, tree):
    """A good message that is handed out with the bytes of another tree: (its parcel, the step)"""
    parcel = link.maker.make(link.node_id)
    link.parcels[parcel.id] = parcel

    def step(call):
        link.handed_out[parcel.id] = parcel
        return Raw(field(2, parcel.message.SerializeToString()) + field(3, tree))

    return parcel, step


def changed_message(link, change, **what):
    """A message whose Message proto was changed: change(message). Its parcel waits to be pulled."""
    parcel = link.maker.make(link.node_id, **what)
    change(parcel.message)
    return link.hand_in(parcel)


