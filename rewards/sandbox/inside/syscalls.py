"""The kernel's filter for system calls: what a program under test may ask of it (seccomp, Linux man page seccomp(2)).

It refuses by purpose: other processes, the network, signals, namespaces and mounts, lasting shared memory, rights and
owners of files, and folders and links (so that the working folder stays flat). Threads, memory, clocks and files stay.
"""

import ctypes
import errno
import os
import struct

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column below, and AUDIT_ARCH_*

# name: number on x86_64, on aarch64 (None: that machine has no such call)
_REFUSED: dict[str, tuple[int, int | None]] = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "socket": (41, 198),
    "io_uring_setup": (425, 425),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "mknod": (133, None),
    "mknodat": (259, 33),
}
_CLONE, _CLONE3, _PRCTL, _PRLIMIT = (56, 220), (435, 435), (157, 167), (302, 261)
_FCNTL, _IOCTL = (72, 25), (16, 29)

_CLONE_THREAD = 0x00010000
_PR_SET_NAME = 15
_OWNERS = (8, 15)  # F_SETOWN, F_SETOWN_EX: they name a process that a pipe or a socket then sends signals to
_SOCKET_OWNERS = (0x8901, 0x8902)  # FIOSETOWN, SIOCSPGRP: the same

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K ...
_NUMBER, _MACHINE, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data: call, machine, two arguments
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE, _MISSING = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_X32 = 0x40000000  # a second set of numbers on x86_64

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def available(libc: ctypes.CDLL) -> bool:
    """Whether this kernel and machine have the filter."""
    return os.uname().machine in _MACHINES and libc.prctl(21, 0, 0, 0, 0) >= 0  # PR_GET_SECCOMP


def install(libc: ctypes.CDLL) -> None:
    """Filter this thread's calls, for good. Needs PR_SET_NO_NEW_PRIVS. Raises OSError where the kernel refuses."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program(os.uname().machine))
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))  # struct sock_fprog
    if libc.prctl(22, 2, header, 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "the kernel refused the filter for system calls")


def program(machine: str) -> list[Instruction]:
    """The filter's instructions for `x86_64` or `aarch64`."""
    column, audit = _MACHINES[machine]
    out: list[Instruction] = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL)]
    out += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _REFUSE)]
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            out += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    out += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _MISSING)]  # the C library then falls back to clone
    out += _only_if(_CLONE[column], _ANY_BIT, _CLONE_THREAD)
    out += _only_if(_PRCTL[column], _EQUAL, _PR_SET_NAME)
    out += _only_if(_PRLIMIT[column], _EQUAL, 0)  # its own limits, no other process's
    out += _without(_FCNTL[column], _OWNERS) + _without(_IOCTL[column], _SOCKET_OWNERS)
    return [*out, (_RETURN, 0, 0, _ALLOW)]


def _only_if(number: int, test: int, operand: int) -> list[Instruction]:
    """Allow the call where its first argument passes the test."""
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, _FIRST),
        (test, 1, 0, operand),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _without(number: int, refused: tuple[int, int]) -> list[Instruction]:
    """Allow the call unless its second argument is one of the two."""
    return [
        (_EQUAL, 0, 5, number),
        (_LOAD, 0, 0, _SECOND),
        (_EQUAL, 2, 0, refused[0]),
        (_EQUAL, 1, 0, refused[1]),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
