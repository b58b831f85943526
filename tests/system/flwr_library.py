"""libflwr-app through ctypes, as a program without a compiler uses it."""

import ctypes as C
import os
from pathlib import Path

POINTER, TEXT, INT, SIZE = C.c_void_p, C.c_char_p, C.c_int, C.c_size_t
INT64S = C.POINTER(C.c_int64)

ARRAYS, METRICS, CONFIGS = 1, 2, 3
C_ORDER, F_ORDER, SWAPPED, UNALIGNED = 1, 2, 4, 8

# enum flwr_dtype, by NumPy's names.
DTYPES = {
    "bool": 1,
    "int8": 2,
    "int16": 3,
    "int32": 4,
    "int64": 5,
    "uint8": 6,
    "uint16": 7,
    "uint32": 8,
    "uint64": 9,
    "float16": 10,
    "float32": 11,
    "float64": 12,
    "longdouble": 13,
    "complex64": 14,
    "complex128": 15,
    "clongdouble": 16,
}


class Array(C.Structure):
    """struct flwr_array"""

    _fields_ = [
        ("dtype", C.c_uint32),
        ("flags", C.c_uint32),
        ("ndim", SIZE),
        ("shape", INT64S),
        ("strides", INT64S),
        ("data", POINTER),
        ("count", SIZE),
        ("size", SIZE),
        ("stype", TEXT),
        ("raw", POINTER),
        ("raw_size", SIZE),
    ]

    def raw_bytes(self):
        return C.string_at(self.raw, self.raw_size)


SIGNATURES = {
    "flwr_error": (TEXT,),
    "flwr_version": (INT,),
    "flwr_version_text": (TEXT,),
    "flwr_dtype_name": (TEXT, INT),
    "flwr_dtype_size": (SIZE, INT),
    "flwr_dict_new": (POINTER,),
    "flwr_dict_free": (None, POINTER),
    "flwr_dict_add": (POINTER, POINTER, TEXT, INT),
    "flwr_dict_get": (POINTER, POINTER, TEXT),
    "flwr_record_copy": (INT, POINTER, POINTER),
    "flwr_record_remove": (INT, POINTER, TEXT),
    "flwr_get_array": (C.POINTER(Array), POINTER, TEXT),
    "flwr_get_data": (POINTER, POINTER, TEXT, INT, C.POINTER(SIZE)),
    "flwr_edit_data": (POINTER, POINTER, TEXT, INT, C.POINTER(SIZE)),
    "flwr_new_array": (POINTER, POINTER, TEXT, INT, SIZE, INT64S),
    "flwr_set_array": (INT, POINTER, TEXT, INT, SIZE, INT64S, POINTER),
    "flwr_set_array_ref": (INT, POINTER, TEXT, INT, SIZE, INT64S, INT64S, POINTER, POINTER, POINTER),
    "flwr_set_tensor": (INT, POINTER, TEXT, TEXT, C.c_char_p, SIZE),
}


def folder():
    """Where the libraries were built."""
    return Path(os.environ["FLWR_BIN_DIR"]).parent / "lib"


def load():
    library = C.CDLL(folder() / "libflwr-app.so.0")
    for name, (result, *arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
