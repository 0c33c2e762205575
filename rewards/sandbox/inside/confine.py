"""How a process shuts itself in: namespaces, Landlock, capabilities, limits and the filter for system calls.

`enter` builds the walls before any foreign code is read; `seal` closes the last door before it runs.
"""

import ctypes
import math
import os
import resource
import signal
import struct
import sys
import threading
from collections.abc import Sequence

from . import syscalls

FILE = 16 * 1024**2  # bytes of the largest file
SPACE = 64 * 1024**2  # bytes of all files, where the working folder is in memory
FILES = 64  # open at once
THREADS = 64
STACK = 128 * 1024**2  # bytes, for deep recursion
WORK = "/work"
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")

_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000  # CLONE_NEW*
_NOBODY = 65534
_ROOT = "/proc"  # any folder that always exists and holds nothing we want to see: the new root is mounted over it
_READ_ONLY, _NOSUID, _NODEV, _NOEXEC, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18  # MS_*
_MOUNT_SETATTR, _LANDLOCK = 442, (444, 445, 446)  # system calls with one number on every machine
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


def enter(mechanism: str, visible: Sequence[str]) -> None:
    """Shut this process in, and tie its life to its parent's. `visible`: the paths it may read.

    With `namespaces` the caller goes on as a child, the first process of its own world; the parent waits for it. With
    `bubblewrap` the walls stand already. Raises OSError where the kernel refuses.
    """
    if sys.platform == "linux":
        tie()
        if mechanism == "namespaces":
            _namespaces()
            _see_only(visible)
        elif mechanism == "limits":
            _landlock(visible)
        if mechanism != "limits":
            _bound_threads()


def seal(timeout: float, memory: int) -> None:
    """Before foreign code runs in this process: `timeout` seconds of CPU, `memory` bytes, no capability, no call."""
    seconds = math.ceil(timeout) + 1  # the parent's clock acts first
    _limit(resource.RLIMIT_STACK, STACK)
    for kind, most in (("CPU", seconds), ("AS", memory), ("FSIZE", FILE), ("NOFILE", FILES), ("CORE", 0)):
        _limit(getattr(resource, f"RLIMIT_{kind}"), most)
    if sys.platform == "linux":
        _call("capset", struct.pack("Ii", 0x20080522, 0), bytes(24))  # _LINUX_CAPABILITY_VERSION_3, this process
        _call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        if syscalls.available(_libc):
            return syscalls.install(_libc)
    _limit(resource.RLIMIT_NPROC, 0)  # without the filter: no new process, and no thread either


def _limit(kind: int, most: int) -> None:
    """Bound a resource, for good; where the limit is lower already, it stays."""
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _call(name: str, *arguments: object) -> int:
    found = int(getattr(_libc, name)(*arguments))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return found


def tie() -> None:
    """Die with the parent. One that died before this call is noticed by the end of its questions."""
    if sys.platform == "linux":
        _call("prctl", 1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def _namespaces() -> None:
    """New namespaces of every kind, as nobody."""
    user, group = os.getuid(), os.getgid()
    _call("unshare", _NAMESPACES)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_NOBODY} {user} 1"),
        ("gid_map", f"{_NOBODY} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    child = os.fork()
    if child:
        os.closerange(0, 64)
        os.waitpid(child, 0)
        os._exit(0)
    tie()


def _see_only(visible: Sequence[str]) -> None:
    """A new root of nothing but `visible`, read-only, with an empty working folder in memory."""
    _mount("none", "/", "", _RECURSIVE | _PRIVATE)
    _mount("tmpfs", _ROOT, "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
    for path in (*visible, *DEVICES):
        _place(path)
        _mount(path, _ROOT + path, "", _BIND | _RECURSIVE)
    os.mkdir(_ROOT + WORK)
    attributes = struct.pack("QQQQ", _READ_ONLY | _NOSUID, 0, 0, 0)  # struct mount_attr: the bits are those of MS_*
    _call("syscall", _MOUNT_SETATTR, -100, _ROOT.encode(), 0x8000, attributes, len(attributes))  # AT_RECURSIVE
    _mount("tmpfs", _ROOT + WORK, "tmpfs", _NOSUID | _NODEV | _NOEXEC, f"size={SPACE},nr_inodes=1024,mode=700")
    os.chdir(_ROOT)
    _call("syscall", _PIVOT_ROOT[os.uname().machine], b".", b".")
    _call("umount2", b".", 2)  # MNT_DETACH: the old root, which lies on top
    os.chdir(WORK)


def _place(path: str) -> None:
    """Where `path` is to be mounted."""
    os.makedirs(_ROOT + (path if os.path.isdir(path) else os.path.dirname(path)), exist_ok=True)
    if not os.path.isdir(path):
        open(_ROOT + path, "x").close()


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())


def _landlock(visible: Sequence[str]) -> None:
    """Without namespaces: read `visible`, write in the working folder, and nothing else, where the kernel has Landlock.

    It also keeps the process out of others' memory and environment (kernel documentation, userspace-api/landlock).
    """
    version = _libc.syscall(_LANDLOCK[0], None, 0, 1)
    if version < 1:
        return
    known = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1  # LANDLOCK_ACCESS_FS_* of that version
    ruleset = _call("syscall", _LANDLOCK[0], struct.pack("Q", known), 8, 0)
    execute, write, read, listing, remove, make, truncate = 1, 2, 4, 8, 1 << 5, 1 << 8, 1 << 14
    for path in visible:
        _allow(ruleset, path, execute | read | (listing if os.path.isdir(path) else 0))
    for path in DEVICES:
        _allow(ruleset, path, read | write)
    _allow(ruleset, os.getcwd(), (read | listing | write | remove | make | truncate) & known)
    _call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    _call("syscall", _LANDLOCK[2], ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    _call("syscall", _LANDLOCK[1], ruleset, 1, struct.pack("=Qi", rights, place), 0)  # LANDLOCK_RULE_PATH_BENEATH
    os.close(place)


def _bound_threads() -> None:
    """At most THREADS, where the kernel counts those of this namespace alone; before 5.14 it counts all of the user."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    most = THREADS if hard == resource.RLIM_INFINITY else min(THREADS, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, hard))
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError:
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))
    else:
        thread.join()
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
