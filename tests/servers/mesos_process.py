"""A process that is a Mesos master: it loads the library and calls what `mesos-local` does.

    python mesos_process.py LIBRARY

All settings come from the environment: LIBPROCESS_IP, LIBPROCESS_PORT, MESOS_* for the master's
flags, and TMPDIR for its folder. It runs until it is killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

_STRING = "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
_INITIALIZE = f"_ZN7process10initializeERK6OptionI{_STRING}ES9_S9_"
_FLAGS = "_ZN5mesos8internal5local5FlagsC1Ev"
_LAUNCH = "_ZN5mesos8internal5local6launchERKNS1_5FlagsEPNS_9allocator9AllocatorE"
_WORK_DIR_AT, _AGENTS_AT = 8, 40
"""Where the flags keep a text (its address and length) and the number of agents to start."""


def main(path: str) -> None:
    library = ctypes.CDLL(path, mode=os.RTLD_LAZY | os.RTLD_GLOBAL)
    name, nothing = _some("master"), _none()
    library[_INITIALIZE](ctypes.byref(name), ctypes.byref(nothing), ctypes.byref(nothing))
    flags = ctypes.create_string_buffer(1 << 16)
    library[_FLAGS](ctypes.byref(flags))
    start, size = struct.unpack_from("<QQ", flags, _WORK_DIR_AT)
    [agents] = struct.unpack_from("<i", flags, _AGENTS_AT)
    if not ctypes.string_at(start, size).endswith(b"mesos/work") or agents != 1:
        sys.exit("the flags of this library are laid out otherwise than expected")
    struct.pack_into("<i", flags, _AGENTS_AT, 0)
    result = ctypes.create_string_buffer(4096)
    library[_LAUNCH](ctypes.byref(result), ctypes.byref(flags), None)
    while True:
        signal.pause()


def _none() -> ctypes.Array[ctypes.c_char]:
    """An `Option<string>` with nothing in it: it begins with a word that says so."""
    made = ctypes.create_string_buffer(64)
    struct.pack_into("<i", made, 0, 1)
    return made


def _some(text: str) -> ctypes.Array[ctypes.c_char]:
    """One with a short text, which lies within the string itself."""
    made, data = ctypes.create_string_buffer(64), text.encode()
    assert len(data) < 16
    struct.pack_into("<iiQQ", made, 0, 0, 0, ctypes.addressof(made) + 24, len(data))
    struct.pack_into(f"{len(data)}s", made, 24, data)
    return made


if __name__ == "__main__":
    main(sys.argv[1])
