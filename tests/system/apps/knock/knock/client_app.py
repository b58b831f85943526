"""Is at home."""

try:
    from flwr.app import Message, RecordDict
    from flwr.clientapp import ClientApp
except ImportError:  # before 1.21
    from flwr.client import ClientApp
    from flwr.common import RecordSet as RecordDict

    Message = None

app = ClientApp()


@app.query()
def query(message, context):
    if Message:
        return Message(RecordDict(), reply_to=message)
    return message.create_reply(RecordDict())
