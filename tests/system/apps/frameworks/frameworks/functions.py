"""What processes below an app do; it imports nothing, so that they start fast."""


def square(number):
    return number * number


def put(queue, lock, number):
    with lock:
        queue.put(square(number))
