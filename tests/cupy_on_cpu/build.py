"""Make a virtual environment in which CuPy's own code runs without a GPU.

python tests/cupy_on_cpu/build.py FOLDER [CUPY_VERSION]

Then FOLDER/bin/python is an interpreter like any other: install there what is to be tried on CuPy.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CUPY = "14.2.0"
HEADERS = ["runtime", "crt", "cccl", "profiler-api"]  # packages with CUDA's headers, of 0.1 to 3 MB
LIBRARIES = ["cuda.so.1", "cudart.so.13", "nvrtc.so.13", "cublas.so.13", "cublasLt.so.13"]
GCC = ["g++", "-std=c++17", "-O1", "-w", "-fPIC"]


def run(*command, **options):
    """Run a command, and stop where it fails."""
    return subprocess.run([str(part) for part in command], check=True, text=True, **options)


def names(library, which):
    """List the CUDA functions that a library defines or asks for."""
    symbols = run("nm", "-D", f"--{which}-only", library, stdout=subprocess.PIPE).stdout
    return set(re.findall(r"\b(?:cuda|cublas)[A-Z]\w+", symbols))


def source_of_runtime(python, version, folder):
    """Unpack the one part of CuPy's source that is compiled anew."""
    # Its set-up is not run, but pip asks it for its metadata: they need no CUDA.
    run(python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=cupy",
        f"--dest={folder}", f"cupy=={version}",
        env=os.environ | {"CUPY_INSTALL_USE_STUB": "1"})  # fmt: skip
    with tarfile.open(folder / f"cupy-{version}.tar.gz") as archive:
        members = [member for member in archive if "/cupy_backends/" in member.name]
        archive.extractall(folder, members, filter="data")
    return folder / f"cupy-{version}"


def build(folder, version):
    """Install CuPy's wheel and, in the place of CUDA's libraries, ours."""
    if not shutil.which("g++"):
        sys.exit("CuPy on the CPU needs g++, which compiles its kernels: apt-get install g++")
    run(sys.executable, "-m", "venv", folder)
    python, work = folder / "bin" / "python", folder / "build"
    work.mkdir(exist_ok=True)
    headers = [f"nvidia-cuda-{name}==13.0.*" for name in HEADERS]
    run(python, "-m", "pip", "install", "--quiet",
        f"cupy-cuda13x=={version}", "cython>=3.1", *headers)  # fmt: skip
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    site = Path(paths["platlib"])
    cuda = site / "nvidia" / "cu13" / "include"

    # CuPy's wheel is used as it is, but for one module, which has the CUDA runtime linked into it.
    source, runtime = source_of_runtime(python, version, work), work / "runtime.cpp"
    module = "cupy_backends/cuda/api/runtime"
    run(python, "-m", "cython", "-3", "--cplus", "-X", "binding=False", "-X", "embedsignature=True",
        "-X", "c_api_binop_methods=True", "-X", "freethreading_compatible=True",
        "-E", "CUPY_CUDA_VERSION=13000", "-E", "CUPY_HIP_VERSION=0",
        "-E", "CUPY_USE_CUDA_PYTHON=False", "-E", "CUPY_CUFFT_STATIC=False",
        "-E", "CUPY_CYTHON_VERSION='3'",
        f"{module}.pyx", "-o", runtime,
        cwd=source, stderr=subprocess.DEVNULL)  # fmt: skip
    shared = work / "runtime.so"
    run(*GCC, "-shared", "-DCUPY_CUDA_VERSION=13000", f"-I{cuda}", f"-I{paths['include']}",
        f"-I{source}/cupy_backends", f"-I{source}/cupy_backends/cuda/api",
        runtime, "-o", shared)  # fmt: skip
    shutil.copy(shared, next(site.glob(f"{module}.cpython*.so")))

    # Every kernel is compiled behind device.h, which is compiled once.
    shutil.copy(HERE / "device.h", folder)
    flags = [*GCC[1:], "-fpermissive", "-fno-strict-aliasing", f"-I{cuda}"]
    include = site / "cupy" / "_core" / "include"
    cccl = [f"-I{include}/cupy/_cccl/{name}" for name in ("cub", "thrust", "libcudacxx")]
    run("g++", *flags, *cccl, f"-I{include}",
        "-x", "c++-header", folder / "device.h", "-o", folder / "device.h.gch")  # fmt: skip
    flags = " ".join([*flags, f"-include {folder}/device.h"])
    device = hashlib.sha256((HERE / "device.h").read_bytes()).hexdigest()

    # One library is all of CUDA. What CuPy asks for and is not there says so when it is called.
    fake = folder / "cuda" / "libcuda_on_cpu.so"
    fake.parent.mkdir(exist_ok=True)
    parts = [HERE / f"{name}.cpp" for name in ("memory", "run", "compile", "multiply")]
    command = [
        *GCC,
        "-O2",
        "-shared",
        f"-I{cuda}",
        f'-DFLAGS="{flags}"',
        f'-DDEVICE="{device}"',
        *parts,
    ]
    run(*command, "-o", fake)
    asked = names(shared, "undefined").union(
        *(
            names(library, "undefined")
            for library in site.glob("cupy_backends/cuda/libs/cublas*.so")
        )
    )
    missing = work / "missing.cpp"
    lines = [
        "#include <cstdio>",
        '#define SAY(f) int f() { return puts(#f " is not there"), 801; }',
    ]
    lines += [f'extern "C" SAY({name})' for name in sorted(asked - names(fake, "defined"))]
    missing.write_text("\n".join(lines) + "\n")
    run(*command, missing, "-o", fake)
    for name in LIBRARIES:  # each an empty library that leads to ours
        run("g++", "-shared", "-x", "c++", os.devnull, "-o", fake.parent / f"lib{name}",
            f"-Wl,-soname,lib{name}", "-Wl,--no-as-needed",
            f"-Wl,-rpath,{fake.parent}", f"-L{fake.parent}", "-lcuda_on_cpu")  # fmt: skip

    # This Python loads the libraries whenever it starts, so that CuPy finds them by their names.
    shutil.copy(HERE / "cuda_on_cpu.py", site)
    (site / "cuda_on_cpu.pth").write_text("import cuda_on_cpu\n")
    test = "import cupy, cuda_on_cpu; print(cupy.__version__, cupy.arange(3) @ cupy.arange(3.0))"
    run(python, "-c", test)


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve(), *(sys.argv[2:] or [CUPY]))
