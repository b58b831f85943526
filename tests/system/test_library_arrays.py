"""Every dtype of numbers goes between NumPy and libflwr-app bit for bit, whatever its layout."""

import ctypes as C
import io
import os
import random

import numpy
import pytest
from flwr_library import ARRAYS, C_ORDER, DTYPES, F_ORDER, SWAPPED, UNALIGNED, load

pytestmark = pytest.mark.ours

SEED = int(os.environ.get("FLWR_TEST_SEED", random.randrange(2**32)))
SHAPES = [(), (1,), (7,), (3, 5), (2, 3, 4), (0,), (0, 4), (4, 0, 2), (1, 6, 1), (2, 1, 3, 2, 2)]
SHAPES += [(70, 33), (3, 40, 37)]  # longer than what is copied at a time


@pytest.fixture(scope="module")
def library():
    print(f"FLWR_TEST_SEED={SEED}")
    return load()


@pytest.fixture
def record(library):
    owner = library.flwr_dict_new()
    yield library.flwr_dict_add(owner, b"arrays", ARRAYS)
    library.flwr_dict_free(owner)


def random_array(dtype, shape):
    """Random bits: NaNs with payloads, negative zeros, padding."""
    bits = numpy.random.default_rng([SEED, len(shape), *map(ord, dtype.str)])
    count = int(numpy.prod(shape, dtype=int))
    if dtype == bool:
        return bits.integers(0, 2, count).astype(bool).reshape(shape)
    return numpy.frombuffer(bits.bytes(count * dtype.itemsize), dtype).reshape(shape)


def saved(array):
    file = io.BytesIO()
    numpy.save(file, array, allow_pickle=False)
    return file.getvalue()


def plain_bytes(array):
    """The elements in C order and this machine's byte order; bits are moved, never converted."""
    array = numpy.array(array, order="C")
    if not array.dtype.isnative:
        array = array.byteswap().view(array.dtype.newbyteorder("="))
    return array.tobytes()


def layouts():
    for name in DTYPES:
        native = numpy.dtype(name)
        for dtype in {native.str: native, native.newbyteorder("S").str: native.newbyteorder("S")}.values():
            for order in "CF":
                yield pytest.param(name, dtype, order, id=f"{dtype.str}-{order}")


def lengths(shape):
    return (C.c_int64 * len(shape))(*shape)


@pytest.mark.parametrize("name, dtype, order", list(layouts()))
def test_from_numpy(library, record, name, dtype, order):
    """A .npy of NumPy's is seen as it is, and its elements as C has them."""
    for shape in SHAPES:
        array = numpy.array(random_array(dtype, shape), order=order)
        npy = saved(array)
        assert library.flwr_set_tensor(record, b"a", b"numpy.ndarray", npy, len(npy)) == 0
        view = library.flwr_get_array(record, b"a").contents
        assert view.dtype == DTYPES[name]
        assert view.shape[: view.ndim] == list(shape)
        assert (view.count, view.size) == (array.size, array.nbytes)
        assert view.raw_bytes() == npy
        flags = array.flags
        assert bool(view.flags & C_ORDER) == flags.c_contiguous
        assert bool(view.flags & F_ORDER) == flags.f_contiguous
        assert bool(view.flags & SWAPPED) == (not dtype.isnative)
        assert not view.flags & UNALIGNED
        if array.size:
            assert view.strides[: view.ndim] == list(numpy.load(io.BytesIO(npy)).strides)
            assert C.string_at(view.data, view.size) == array.tobytes(order="A")
        count = C.c_size_t()
        data = library.flwr_get_data(record, b"a", DTYPES[name], C.byref(count))
        assert data and count.value == array.size
        assert C.string_at(data, array.nbytes) == plain_bytes(array)
        # Only what does not lie right is copied.
        assert (data == view.data) == (flags.c_contiguous and dtype.isnative) or not array.size


@pytest.mark.parametrize("name", DTYPES)
def test_to_numpy(library, record, name):
    """Arrays that C makes are byte for byte those that NumPy saves."""
    dtype = numpy.dtype(name)
    assert library.flwr_dtype_size(DTYPES[name]) == dtype.itemsize
    assert library.flwr_dtype_name(DTYPES[name]).decode() == str(dtype)
    for shape in SHAPES:
        array = numpy.ascontiguousarray(random_array(dtype, shape)).reshape(shape)
        content = array.tobytes()
        assert library.flwr_set_array(record, b"set", DTYPES[name], len(shape), lengths(shape), content) == 0
        new = library.flwr_new_array(record, b"new", DTYPES[name], len(shape), lengths(shape))
        assert new
        C.memmove(new, content, len(content))
        for key in (b"set", b"new"):
            raw = library.flwr_get_array(record, key).contents.raw_bytes()
            back = numpy.load(io.BytesIO(raw), allow_pickle=False)
            assert (back.dtype, back.shape, back.tobytes()) == (dtype, shape, content)
            assert raw == saved(array)


@pytest.mark.parametrize("name", DTYPES)
def test_strides(library, record, name):
    """References of any strides: views of NumPy's, turned, cut, with gaps, backwards."""
    dtype = numpy.dtype(name)
    whole = random_array(dtype, (6, 35, 40)).copy()
    views = [
        whole,
        whole.T,
        whole[::2],
        whole[::-1, 1:34, ::-2],
        whole.transpose(2, 0, 1)[::3],
        whole.transpose(1, 0, 2),
        whole[2],
        whole[:, 3, 1],
        whole[1:1],
        numpy.broadcast_to(whole[0, 0], (3, 40)),
    ]
    for view in views:
        status = library.flwr_set_array_ref(
            record, b"r", DTYPES[name], view.ndim, lengths(view.shape), lengths(view.strides), view.ctypes.data, None, None
        )
        assert status == 0, library.flwr_error()
        data = library.flwr_get_data(record, b"r", DTYPES[name], None)
        assert C.string_at(data, view.nbytes) == view.tobytes()
        lies_there = library.flwr_get_array(record, b"r").contents.data == view.ctypes.data
        assert lies_there == (view.flags.c_contiguous or view.flags.f_contiguous) or not view.size


@pytest.mark.parametrize("name, dtype, order", list(layouts()))
def test_edit(library, record, name, dtype, order):
    """What is edited becomes a native array in C order, and the other record keeps its own."""
    array = numpy.array(random_array(dtype, (3, 5)), order=order)
    npy = saved(array)
    other = library.flwr_dict_new()
    copy = library.flwr_dict_add(other, b"copy", ARRAYS)
    assert library.flwr_set_tensor(record, b"a", b"numpy.ndarray", npy, len(npy)) == 0
    assert library.flwr_record_copy(copy, record) == 0
    count = C.c_size_t()
    data = library.flwr_edit_data(copy, b"a", DTYPES[name], C.byref(count))
    assert count.value == 15
    assert C.string_at(data, array.nbytes) == plain_bytes(array)
    C.memset(data, 1, array.nbytes)
    back = numpy.load(io.BytesIO(library.flwr_get_array(copy, b"a").contents.raw_bytes()))
    assert back.dtype == numpy.dtype(name) and back.flags.c_contiguous
    assert back.tobytes() == bytes([1]) * array.nbytes
    assert library.flwr_get_array(record, b"a").contents.raw_bytes() == npy
    library.flwr_dict_free(other)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_formats(library, record, version):
    """All formats of heads that NumPy writes."""
    array = random_array(numpy.dtype("<f4"), (3, 5))
    file = io.BytesIO()
    numpy.lib.format.write_array(file, array, version=version, allow_pickle=False)
    npy = file.getvalue()
    assert library.flwr_set_tensor(record, b"a", b"numpy.ndarray", npy, len(npy)) == 0
    data = library.flwr_get_data(record, b"a", DTYPES["float32"], None)
    assert C.string_at(data, array.nbytes) == array.tobytes()


OTHERS = ["<U5", "S3", "M8[ns]", "m8[s]", "V2", [("a", "<f4"), ("b", ">i8", (2, 3))]]


@pytest.mark.parametrize("dtype", OTHERS, ids=map(str, OTHERS))
def test_other_dtypes(library, record, dtype):
    """Arrays of other things are there, raw."""
    array = numpy.zeros((2, 3), dtype)
    npy = saved(array)
    assert library.flwr_set_tensor(record, b"a", b"numpy.ndarray", npy, len(npy)) == 0
    view = library.flwr_get_array(record, b"a").contents
    assert (view.dtype, view.data, view.count) == (0, None, 6)
    assert view.raw_bytes() == npy
    assert not library.flwr_get_data(record, b"a", DTYPES["float32"], None)
    assert b", not float32" in library.flwr_error() and b"of type" in library.flwr_error()


def test_objects(library, record):
    """Pickles are refused, whatever is in them."""
    file = io.BytesIO()
    numpy.save(file, numpy.array([{"a": 1}]), allow_pickle=True)
    npy = file.getvalue()
    assert library.flwr_set_tensor(record, b"a", b"numpy.ndarray", npy, len(npy)) == -1004
    assert b"it holds Python objects, which are never unpickled" in library.flwr_error()


def test_other_types_of_long_doubles(library, record):
    """float128 of another size is no long double of this machine."""
    for descr in ("<f12", ">f12", "<c24"):
        if numpy.dtype("longdouble").itemsize == 12:
            continue
        head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}".ljust(117) + "\n"
        npy = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + bytes(24)
        assert library.flwr_set_tensor(record, b"a", b"numpy.ndarray", npy, len(npy)) == 0
        assert library.flwr_get_array(record, b"a").contents.dtype == 0
