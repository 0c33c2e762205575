"""Programs that attack the sandbox. Each prints or returns the right answer only where its attack succeeds."""

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from rewards import sandbox
from rewards.code import MEMORY, grade, judge
from rewards.sandbox.inside import syscalls

ROOT = Path(__file__).parents[2]
SECRET = "421337"
SUBREAPER = 36  # prctl's: orphans below this process become its children, so that a test sees them
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture(params=sandbox.MECHANISMS)
def mechanism(request):
    if not sandbox.works(request.param):
        pytest.skip(f"this machine has no {request.param}")
    return request.param


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """Every test leaves no process, no file and no folder behind."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    before = set(psutil.Process().children(recursive=True))
    yield
    left = [process for process in psutil.Process().children(recursive=True) if process not in before and ours(process)]
    assert (left, list(folder.iterdir())) == ([], [])


def ours(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE or "inside.driver" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def printing(program, mechanism, given="", expected=SECRET, timeout=10.0, memory=MEMORY):
    """The verdict on a program that should print `expected`."""
    return grade({"form": "stdin", "pairs": [(given, expected)]}, program, timeout, memory, mechanism)


def returning(program, mechanism, timeout=10.0):
    """The verdict on a program whose `answer(1)` should return 421337."""
    tests = {"form": "call", "entry_point": "answer", "inputs": [[1]], "outputs": [int(SECRET)]}
    task = judge(f"```python\n{program}\n```", tests, timeout=timeout, mechanism=mechanism)
    return task.function(*task.arguments)


def checked(program, mechanism):
    """The verdict on a program whose `answer` a test of HumanEval's kind tries."""
    test = f"def check(candidate):\n    hidden = {SECRET}\n    assert candidate(1) == hidden and candidate(2) == 2\n"
    tests = {"form": "check", "entry_point": "answer", "test": test}
    task = judge(f"```python\n{program}\n```", tests, mechanism=mechanism)
    return task.function(*task.arguments)


def test_the_best_mechanism_that_works_is_named():
    assert sandbox.mechanism() == next(name for name in sandbox.MECHANISMS if sandbox.works(name))
    if shutil.which("bwrap") is None:
        assert not sandbox.works("bubblewrap")


def test_an_honest_program_is_right(mechanism):
    assert printing("print(int(input()) + 1)", mechanism, "421336\n") == ("right", "match")
    assert returning("def answer(x): return 421336 + x", mechanism) == ("right", "match")
    assert checked("def answer(x): return 421337 if x == 1 else 2", mechanism) == ("right", "match")


def test_a_program_may_use_threads_deep_recursion_and_its_working_folder(mechanism):
    program = f"""
import os, sys, threading, functools, random, time
assert os.listdir('.') == []
with open('notes', 'w') as file: file.write('x')
os.rename('notes', 'other'); assert os.listdir('.') == ['other']
@functools.cache
def count(n): return 0 if n == 0 else 1 + count(n - 1)
sys.setrecursionlimit(10**6)
threading.stack_size(64 * 1024**2)
def work(): print({SECRET} if count(20000) == 20000 else 0)
threading.Thread(target=work).start()
"""
    assert printing(program, mechanism) == ("right", "match")


# each prints the right answer only where it gets out


def test_no_network(mechanism):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(0)
        attack = f"import socket; socket.create_connection(('127.0.0.1', {port}), 3); print({SECRET})"
        assert printing(attack, mechanism) == ("wrong", "exception")
        with pytest.raises(BlockingIOError):
            server.accept()
    sending = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))"
    datagram = f"import socket; {sending}; print({SECRET})"
    assert printing(datagram, mechanism) == ("wrong", "exception")


FORBIDDEN = """
subprocess.run(['/bin/true'])
subprocess.run([sys.executable, '-c', ''])
multiprocessing.Process(target=print).start()
os.execv(sys.executable, [sys.executable, '-c', 'print(421337)'])
os.posix_spawn(sys.executable, [sys.executable], {})
os.setsid()
os.kill(os.getppid(), 9)
os.kill(-1, 9)
os.killpg(0, 9)
os.chmod('.', 0o777)
os.makedirs('a/b')
os.symlink('/', 'root')
os.setuid(12345)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
os.fork()
"""


def test_forbidden_calls_fail(mechanism):
    program = f"""
import os, sys, subprocess, multiprocessing, resource
for attack in {FORBIDDEN.split(chr(10))[1:-1]}:
    try: exec(attack)
    except (OSError, ValueError): continue
    print({SECRET}, attack)
print('nothing worked')
"""
    assert printing(program, mechanism, expected="nothing worked") == ("right", "match")
    bomb = f"import os\nwhile True:\n  try: os.fork()\n  except OSError: pass\nprint({SECRET})"
    assert printing(bomb, mechanism, timeout=0.3) == ("wrong", "timeout")


@linux
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")
def test_the_filter_refuses_every_call_it_lists(mechanism):
    numbers = {name: number for name, (number, _) in syscalls._REFUSED.items()}
    program = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for name, number in {numbers}.items():
    ctypes.set_errno(0)
    if libc.syscall(number, 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1: print(name)
for call in [(56, 17), (157, 1, 0), (302, 1, 9, 0, 0), (72, 0, 8, 1), (16, 0, 0x8901, 0), (0x40000000 | 39,)]:
    ctypes.set_errno(0)
    if libc.syscall(*call, 0, 0) != -1 or ctypes.get_errno() != 1: print(call)
print('end')
"""
    assert printing(program, mechanism, expected="end") == ("right", "match")


STEPS = {  # system call, two arguments; on aarch64, which no test may ever run on
    "allowed": [(63, 0, 0), (220, 0x00010F00, 0), (167, 15, 0), (25, 0, 3), (29, 0, 0x5413)],  # read, a thread, ...
    "refused": [(129, 1, 9), (198, 2, 1), (220, 17, 0), (167, 1, 0), (261, 1, 0), (25, 0, 8), (29, 0, 0x8902)],
    "missing": [(435, 0, 0)],  # clone3
}


def test_the_filter_step_by_step():
    for answer, calls in STEPS.items():
        assert [filtered("aarch64", 0xC00000B7, *call) for call in calls] == [answer] * len(calls)
    assert filtered("aarch64", 0xC000003E, 63, 0, 0) == "killed"  # another machine's numbers
    assert filtered("x86_64", 0xC000003E, 57, 0, 0) == "refused"


def filtered(machine, audit, call, first, second):
    """What the filter answers to a call, by running its instructions as the kernel does."""
    loaded = {0: call, 4: audit, 16: first, 24: second}
    tests = {0x15: int.__eq__, 0x35: int.__ge__, 0x45: int.__and__}
    program, at, value = syscalls.program(machine), 0, 0
    while program[at][0] != 0x06:
        code, if_true, if_false, operand = program[at]
        value = loaded[operand] if code == 0x20 else value
        at += 1 + (0 if code == 0x20 else if_true if tests[code](value, operand) else if_false)
    return {0x7FFF0000: "allowed", 0x50001: "refused", 0x50026: "missing", 0x80000000: "killed"}[program[at][3]]


def test_no_file_of_the_parent_is_read(mechanism, tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    program = f"""
for path in ({str(tmp_path / "secret")!r}, {str(Path(__file__))!r}, '/etc/passwd', '/etc/hostname'):
    try: open(path).read()
    except OSError: continue
    print({SECRET})
"""
    assert printing(program, mechanism) == ("wrong", "mismatch")


def test_the_parents_environment_memory_and_descriptors_stay_its_own(mechanism, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", SECRET)
    (tmp_path / "secret").write_text(SECRET)
    descriptor = os.open(tmp_path / "secret", os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    program = f"""
import os
found = dict(os.environ)
for process in [os.getppid(), {os.getpid()}, 'self', 1]:
    for name in ('environ', 'mem', 'cmdline', 'maps'):
        try: found[name] = open(f'/proc/{{process}}/{{name}}', 'rb').read(100)
        except OSError: pass
for number in range(3, 64):
    try: found[number] = os.read(number, 100)
    except OSError: pass
print({SECRET} if set(found) - {{'LANG', 'PYTHONHASHSEED', 'PYTHONUTF8', 'LC_CTYPE', 'PWD'}} else found)
"""
    try:
        assert printing(program, mechanism) == ("wrong", "mismatch")
    finally:
        os.close(descriptor)


def test_nothing_is_written_outside_the_working_folder(mechanism, tmp_path):
    places = [str(tmp_path), str(Path.home()), sys.base_prefix + "/lib", "/", "/tmp", "/var/tmp", "/dev/shm", "/dev"]
    program = f"""
import os
for place in {places}:
    for attempt in (lambda: open(place + '/paribus-evil', 'w'), lambda: os.mkdir(place + '/paribus-evil')):
        try: attempt()
        except OSError: continue
        print({SECRET})
"""
    assert printing(program, mechanism) == ("wrong", "mismatch")
    assert not [place for place in places if os.path.lexists(f"{place}/paribus-evil")]


def test_memory_files_and_threads_are_bounded(mechanism):
    assert printing(f"x = bytearray(10 * 1024**3); print({SECRET})", mechanism) == ("wrong", "exception")
    fill = f"with open('big', 'wb') as file:\n    for _ in range(1000): file.write(bytes(10**6))\nprint({SECRET})"
    assert printing(fill, mechanism) == ("wrong", "exception")
    thread = "threading.Thread(target=time.sleep, args=(0.2,))"
    bomb = f"import threading, time\nfor _ in range(10**5): {thread}.start()\nprint({SECRET})"
    assert printing(bomb, mechanism, timeout=0.5)[0] == "wrong"


ENDLESS = [
    "import signal\nfor n in {1, *range(1, 25)} - {9, 19}: signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
    "import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()",
]


@pytest.mark.parametrize("program", ENDLESS, ids=["loop", "sleep"])
def test_an_endless_program_is_stopped(mechanism, program):
    assert printing(program, mechanism, timeout=0.3) == ("wrong", "timeout")


def test_endless_output_is_stopped(mechanism):
    assert printing("while True: print('x' * 10**6)", mechanism) == ("wrong", "output_limit")
    flood = """
import os
def answer(x):
    while True:
        for number in range(3, 20):
            try: os.write(number, b'x' * 10**5)
            except OSError: pass
"""
    assert returning(flood, mechanism) == ("wrong", "output_limit")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os._exit(0)", "mismatch"),
        ("import sys; sys.exit = print; raise SystemExit(0)", "mismatch"),
        ("import ctypes; ctypes.string_at(0)", "crash"),
    ],
)
def test_an_early_end_is_wrong(mechanism, program, reason):
    assert printing(program, mechanism) == ("wrong", reason)


def test_the_sandbox_ends_with_the_process_that_opened_it(mechanism):
    endless = ({"form": "stdin", "pairs": [("", "")]}, "while True: pass", 60.0, MEMORY, mechanism)
    script = f"from rewards.code import grade; grade(*{endless})"
    worker = psutil.Popen([sys.executable, "-c", script], cwd=ROOT, env={"TMPDIR": tempfile.gettempdir()})
    processes = {"bubblewrap": 4, "namespaces": 3, "limits": 2}[mechanism]  # the last is the program
    until = time.monotonic() + 60
    while len(worker.children(recursive=True)) < processes and time.monotonic() < until:
        time.sleep(0.01)
    sandboxes = worker.children(recursive=True)
    worker.kill()
    _, alive = psutil.wait_procs([worker, *sandboxes], timeout=60)
    assert (len(sandboxes), alive) == (processes, [])
    for folder in Path(tempfile.gettempdir()).glob("paribus-*"):  # nobody was left to remove it
        folder.rmdir()


# each tries to pass without the answer

CHEATS = {
    "always equal": "class Y:\n  def __eq__(s, o): return True\ndef answer(x): return Y()",
    "a number always equal": "class Y(int):\n  def __eq__(s, o): return True\ndef answer(x): return Y()",
    "a list always equal": "class Y(list):\n  def __eq__(s, o): return True\ndef answer(x): return Y()",
    "early end": "import os; os._exit(0)",
    "end in the call": "import os\ndef answer(x): os._exit(0)",
    "exit in the call": "import sys\ndef answer(x): sys.exit(0)",
    "no function": "x = 421337",
    "patched builtins": """
import builtins, json, sys, os
def yes(*a, **k): return True
for name in ('isinstance', 'len', 'all', 'any', 'bool', 'print', 'compile', 'exec', 'type', 'map', 'zip', 'getattr'):
    setattr(builtins, name, yes)
class AssertionError(Exception): pass
builtins.AssertionError = builtins.BaseException = AssertionError
sys.exit = os._exit = json.dumps = json.loads = lambda *a, **k: '{"value": true, "verdict": "match"}'
def answer(x): return True
""",
    "a verdict on every descriptor": """
import os
for number in range(0, 64):
    for text in ('{}', '{"verdict": "match"}', '{"printed": "421337"}', '{"value": true}'):
        try: os.write(number, text.encode() + b'\\n')
        except OSError: pass
def answer(x): return 0
""",
    "the test's own names": """
import sys, gc
def numbers():
    frame = sys._getframe(2)
    while frame:
        yield from [*frame.f_locals.values(), *frame.f_globals.values(), *frame.f_code.co_consts]
        frame = frame.f_back
    for value in gc.get_objects():
        if type(value) in (list, tuple, set): yield from list(value)
        if type(value) is dict: yield from list(value.values())
def answer(x):
    for value in numbers():
        if type(value) is int and 421300 < value < 421400: return value
""",
    "a patched driver": """
import sys
for name, module in list(sys.modules.items()):
    if 'driver' in name or 'plain' in name:
        for key in list(vars(module)):
            if callable(getattr(module, key)): setattr(module, key, lambda *a, **k: {"verdict": "match", "value": True})
def answer(x): return 0
""",
}  # fmt: skip


@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_passes(name):
    assert returning(CHEATS[name], sandbox.mechanism())[0] == "wrong"
    assert checked(CHEATS[name], sandbox.mechanism())[0] == "wrong"


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_passes_by_any_mechanism(mechanism, name):
    assert returning(CHEATS[name], mechanism)[0] == "wrong"
    assert checked(CHEATS[name], mechanism)[0] == "wrong"


def test_a_sandbox_that_cannot_start_is_unscorable(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "_interpreter", lambda: str(tmp_path / "missing"))
    assert printing("print(1)", "limits") == ("unscorable", "sandbox")


@linux
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_users_without_rights_have_it_too(mechanism, tmp_path):
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None or subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).returncode:
        pytest.skip("no Python that every user may run")
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from rewards import sandbox
from rewards.code import grade
print(sandbox.works({mechanism!r}))
for program in ('print(open("/etc/passwd").read(4))', 'import os; os.fork()', 'print(input())'):
    print(grade({{"form": "stdin", "pairs": [("root", "root")]}}, program, 10.0, 1 << 30, {mechanism!r})[0])
"""
    done = subprocess.run(
        [python, "-B", "-c", script],
        user=65534,
        group=65534,
        extra_groups=[],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["True", "wrong", "wrong", "right"], done.stderr
