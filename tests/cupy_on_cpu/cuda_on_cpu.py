"""Load the libraries that CuPy takes for CUDA's, and tell what was asked of them."""

import ctypes
import os
import sys
from collections import Counter
from pathlib import Path

FOLDER = Path(sys.prefix)
os.environ.setdefault("CUPY_CACHE_DIR", str(FOLDER / "kernels"))
os.environ["CUPY_ACCELERATORS"] = ""  # CUB and Thrust come compiled for a GPU
_without = os.environ.get("CUDA_ON_CPU_WITHOUT", "").split()  # as where CUDA is half installed

_library = ctypes.CDLL(str(FOLDER / "cuda" / "libcuda_on_cpu.so"), ctypes.RTLD_GLOBAL)
_library.cuda_on_cpu_counts.restype = ctypes.c_size_t
_library.cuda_on_cpu_counts.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
for _path in sorted((FOLDER / "cuda").glob("lib*.so.*")):
    if not any(_path.name.startswith(f"lib{_name}.") for _name in _without):
        ctypes.CDLL(str(_path), ctypes.RTLD_GLOBAL)


def counts():
    """Count what was asked of the GPU so far, by name: "kernel cupy_add…", "copy to the host" …"""
    size = _library.cuda_on_cpu_counts(None, 0)
    text = ctypes.create_string_buffer(size)
    _library.cuda_on_cpu_counts(text, size)
    lines = (line.split(" ", 1) for line in text.value.decode().splitlines())
    return Counter({name: int(number) for number, name in lines})
