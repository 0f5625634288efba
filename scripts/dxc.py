#!/usr/bin/env python3
"""A `dxc` for machines that have only its library: compiles HLSL files, so that DX12's own compiler sees every shader.

    GPU_RESNET_DXCOMPILER=libdxcompiler.so scripts/dxc.py -T cs_6_2 -E main -Fo out.dxil kernel.hlsl
    scripts/dxc.py -T cs_6_2 --list LIST.json RESULTS.jsonl
    scripts/dxc.py --version

LIST.json is an array of {"file", "entry"}. RESULTS.jsonl gets a line for each kernel as soon as it is known: {"message": null} if the kernel
compiles, else what the compiler says. In one process a kernel takes half the time, since Python and the library start only once.

The library is Microsoft's DirectXShaderCompiler; scripts/setup.sh --all-drivers fetches it. Calls IDxcCompiler3::Compile
(dxcapi.h) through its table of functions: there the library's COM objects have, on Linux, two destructors after IUnknown's three.

The library's own destructors never run: on exit it may wait forever for a lock that nobody holds (in llvm_shutdown, if the entry point
is not called main). So the process always ends with os._exit, once everything is flushed.
"""

import ctypes
import json
import os
import sys
import traceback
import uuid

UTF8 = 65001
FIRST = 5  # IUnknown's three functions and two destructors
MOST = 2000  # characters of a message


class Failure(Exception):
    """Ends the program with this message and status 1."""


def guid(text):
    return (ctypes.c_ubyte * 16)(*uuid.UUID(text).bytes_le)


def function(instance, index, result, *arguments):
    table = ctypes.cast(instance, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
    call = ctypes.CFUNCTYPE(result, ctypes.c_void_p, *arguments)(table[index])
    return lambda *values: call(instance, *values)


class Source(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char_p), ("size", ctypes.c_size_t), ("encoding", ctypes.c_uint)]


def create(library, clsid, iid):
    instance = ctypes.c_void_p()
    if library.DxcCreateInstance(guid(clsid), guid(iid), ctypes.byref(instance)) != 0:
        raise Failure("the library has no such compiler")
    return instance


def blob(instance):
    pointer = function(instance, FIRST, ctypes.c_void_p)()
    size = function(instance, FIRST + 1, ctypes.c_size_t)()
    return ctypes.string_at(pointer, size) if pointer and size else b""


def compile_file(compiler, path, options):
    with open(path, "rb") as file:
        text = file.read()
    source = Source(text, len(text), UTF8)
    words = (ctypes.c_wchar_p * len(options))(*options)
    result, status = ctypes.c_void_p(), ctypes.c_int(-1)
    compile_ = function(compiler, FIRST, ctypes.c_int, *[ctypes.c_void_p] * 2, ctypes.c_uint, *[ctypes.c_void_p] * 3)
    iid = guid("58346CDA-DDE7-4497-9461-6F87AF5E0659")
    if compile_(ctypes.addressof(source), ctypes.addressof(words), len(options), None, ctypes.addressof(iid),
                ctypes.addressof(result)) != 0 or not result:
        raise Failure("the compiler could not be run")
    function(result, FIRST, ctypes.c_int, ctypes.c_void_p)(ctypes.addressof(status))
    outputs = []
    for index in (FIRST + 1, FIRST + 2):  # the code, the messages
        output = ctypes.c_void_p()
        function(result, index, ctypes.c_int, ctypes.c_void_p)(ctypes.addressof(output))
        outputs.append(blob(output) if output else b"")
    return status.value == 0, *outputs


def load():
    name = os.environ.get("GPU_RESNET_DXCOMPILER", "libdxcompiler.so")
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise Failure(f"{name} could not be loaded ({error}); scripts/setup.sh --all-drivers fetches it") from None


def print_version():
    info = create(load(), "73e22d93-e6ce-47f3-b5bf-f0664f39c1b0", "b04f5b50-2059-4f12-a8ff-a1e0cde1cc7e")
    numbers = [ctypes.c_uint(), ctypes.c_uint()]
    function(info, FIRST, ctypes.c_int, *[ctypes.c_void_p] * 2)(*map(ctypes.addressof, numbers))
    print(f"dxcompiler {numbers[0].value}.{numbers[1].value}, lists of kernels")


def compile_list(compiler, options, path, results):
    with open(path, encoding="utf-8") as file:
        kernels = json.load(file)
    for kernel in kernels:
        accepted, _, messages = compile_file(compiler, kernel["file"], [*options, "-E", kernel["entry"]])
        message = None if accepted else text_of(messages)[:MOST] or "it says nothing"
        with open(results, "a", encoding="utf-8") as file:
            file.write(json.dumps({"message": message}) + "\n")


def text_of(messages):
    return messages.decode("utf-8", "replace").rstrip("\0\n ")


def main():
    if sys.argv[1:] == ["--version"]:
        print_version()
        return 0
    options, path, output, lists = [], None, None, None
    arguments = iter(sys.argv[1:])
    for argument in arguments:
        if argument == "-Fo":
            output = next(arguments, None)
        elif argument == "--list":
            lists = next(arguments, None), next(arguments, None)
        elif argument in ("-T", "-E", "-HV"):
            options += [argument, next(arguments, "")]
        elif argument.startswith("-"):
            options.append(argument)
        else:
            path = argument
    if path is None and (lists is None or None in lists):
        raise Failure(f"no file is named.\n{__doc__}")
    compiler = create(load(), "73e22d93-e6ce-47f3-b5bf-f0664f39c1b0", "228B4687-5A6A-4730-900C-9702B2203F54")
    if lists:
        compile_list(compiler, options, *lists)
        return 0
    accepted, code, messages = compile_file(compiler, path, options)
    sys.stderr.write(text_of(messages) + "\n")
    if not accepted:
        return 1
    if output:
        with open(output, "wb") as file:
            file.write(code)
    return 0


def run():
    """The exit status; whatever went wrong is on stderr."""
    try:
        return main()
    except (Failure, OSError) as problem:
        print(f"dxc.py: {problem}", file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    return 1


if __name__ == "__main__":
    status = run()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads it any more
            status = status or 1
    os._exit(status)
