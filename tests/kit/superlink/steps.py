"""Steps for Link.script(): what an evil SuperLink says in place of an answer."""

from federation.superlink.link import Never, Raw, Refusal

from ..wire import field, nested, number_of


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
    """These bytes over HTTP, lines of a head first; then the connection ends, or stays as it is."""
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


def after(step):
    """The call is done as it should be, but its answer is lost: what the step says is said instead."""

    def both(call):
        call.answer()
        return step(call)

    return both


# ---- trees that no SuperLink would send ----


def fake_id(number):
    return f"{number:064x}"


def deep_tree(protos, depth):
    """An ObjectTree, each object in it the only child of the one before."""
    tree = protos.ObjectTree

    def own(level):
        return tree(object_id=fake_id(level)).SerializeToString()

    return nested(number_of(tree, "children"), depth, own)


def wide_tree(protos, children):
    """An ObjectTree whose root has so many."""
    tree = protos.ObjectTree(object_id=fake_id(0))
    for number in range(1, children + 1):
        tree.children.add(object_id=fake_id(number))
    return tree.SerializeToString()


def with_tree(link, tree):
    """A good message that is handed out with the bytes of another tree: (its parcel, the step)"""
    parcel = link.make()
    link.parcels[parcel.id] = parcel

    def step(call):
        link.handed_out[parcel.id] = parcel
        response = link.protos.PullMessagesResponse
        message = response(messages_list=[parcel.message]).SerializeToString()
        return Raw(message + field(response, "message_object_trees", tree))

    return parcel, step


def changed_message(link, change, **what):
    """A message whose Message proto was changed: change(message). Its parcel waits to be pulled."""
    parcel = link.make(**what)
    change(parcel.message)
    return link.hand_in(parcel)
