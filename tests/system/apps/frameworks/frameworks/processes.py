"""Processes of multiprocessing and concurrent.futures, started in each way; with functions of the app's own."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory

from frameworks.functions import put, square
from frameworks.telling import app_of


def work(order):
    result = {}
    for way in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(way)
        with context.Pool(2) as pool:
            squares = pool.map(square, range(4))
        queue, lock = context.Queue(), context.Lock()
        child = context.Process(target=put, args=(queue, lock, 5))
        child.start()
        squares.append(queue.get(timeout=60))
        child.join(60)
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            squares += executor.map(square, range(4))
        result[way] = [squares, child.exitcode]
    with multiprocessing.Manager() as manager:  # asks for the key of the process
        shared = manager.list([1])
        shared.append(2)
        result["manager"] = list(shared)
    block = shared_memory.SharedMemory(create=True, size=16)  # of the resource tracker
    block.buf[0] = 7
    result["shared"] = block.buf[0]
    block.close()
    block.unlink()
    return result, {}


app = app_of(work)
