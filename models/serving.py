"""`vllm serve` as a process of a run: its command, started, waited for, ended with who started it. No torch here."""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from conf.errors import UserError
from conf.schema import Configuration

ADDRESS = "PARIBUS_VLLM_SERVER"  # in the environment: of a server beside the run, known when its machine is
LOGPROBS = "processed_logprobs"  # of the distribution that is drawn from, temperature included
SETTINGS = {"VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "1"}  # of a server
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
POLL_SECONDS, END_SECONDS, ASK_SECONDS = 0.2, 30.0, 5.0
RANKS = re.compile(r"(RANK|LOCAL_RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|GROUP_RANK|ROLE_\w+|MASTER_\w+|TORCHELASTIC_\w+)$")
ERROR = re.compile(r"\b\w*(?:Error|Exception)\b: .+|.*[Oo]ut of memory.*")
TAIL = 5  # lines of a log that names no error


class Process:
    """A server that this process has started."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, begin: int) -> None:
        self.process, self.log, self.begin = process, log, begin

    def ended(self) -> str:
        """What to say of it where it has ended, and empty where it has not: its first error, for others follow."""
        try:
            code = self.process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            return ""
        said = self.log.read_bytes()[self.begin :].decode(errors="replace")
        found = ERROR.search(said)
        first = found[0].strip() if found else " / ".join(said.strip().splitlines()[-TAIL:])
        return f"it ended with code {code}: {first or 'it said nothing'} (its log is {self.log})"

    def end(self) -> None:
        """Stop it and what it started, kindly first."""
        for number, patience in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(patience)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


def executable() -> str | None:
    """vLLM's command: beside this Python, or on the PATH."""
    return shutil.which("vllm", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))


def dtype_of(configuration: Configuration) -> str:
    """The type that a run's policy is multiplied in."""
    return "bfloat16" if configuration.hardware.mixed_precision == "bf16" else configuration.model.dtype


def longest(configuration: Configuration) -> int:
    """Tokens of the longest row that a run samples."""
    return configuration.data.max_prompt_length + configuration.data.max_completion_length


def command(configuration: Configuration, model: str, port: int, *more: str) -> list[str]:
    """What serves `model`, its numbers as the run's. What its generation_config.json says of sampling is left out."""
    given = configuration.rollouts
    stated = {
        "host": given.vllm_server_host,
        "port": port,
        "dtype": dtype_of(configuration),
        "tensor-parallel-size": given.vllm_tensor_parallel_size,
        "gpu-memory-utilization": given.vllm_gpu_memory_utilization,
        "generation-config": "vllm",
        "logprobs-mode": LOGPROBS,
        "seed": 0,  # every row has its own
    }
    options = [part for name, value in stated.items() for part in (f"--{name}", str(value))]
    options += ["--trust-remote-code"] if configuration.model.trust_remote_code else []
    return [executable() or "vllm", "serve", model, *options, *more]


def for_rollouts(configuration: Configuration) -> list[str]:
    """What `command` takes beside to serve a policy that learns."""
    more = ["--max-model-len", str(longest(configuration))]
    if configuration.rollouts.vllm_weight_sync == "nccl":
        more += ["--weight-transfer-config", '{"backend": "nccl"}']
    return more


def environment(devices: Sequence[int]) -> dict[str, str]:
    """The server's environment: no rank of this process, the calls that take weights, and of the devices visible here
    those of these numbers."""
    kept = {key: value for key, value in os.environ.items() if not RANKS.match(key)}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = visible.split(",") if visible else []
    own = [names[number] if number < len(names) else str(number) for number in devices]
    more = {"CUDA_VISIBLE_DEVICES": ",".join(own)} if devices else {}
    return kept | SETTINGS | more


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(
    command: list[str], surroundings: dict[str, str], log: Path, url: str, patience: float
) -> Iterator[Process]:
    """The server, as soon as it answers, for as long as the block runs; its words go into `log`.

    UserError where it ends before, or does not answer within `patience` seconds.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    begin = log.stat().st_size if log.exists() else 0
    with log.open("ab") as written:
        own = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            env=surroundings,
            start_new_session=True,  # Ctrl-C is for the run, which ends it
            preexec_fn=_ends_with_parent if sys.platform == "linux" else None,
        )
    server = Process(own, log, begin)
    try:
        wait(url, patience, server)
        yield server
    finally:
        server.end()


def wait(url: str, patience: float, server: Process | None = None) -> None:
    """Return once the server at `url` answers; UserError where it ends first, or takes longer than `patience`."""
    deadline = time.monotonic() + patience
    change = "mend what its log shows, or set rollouts.use_vllm=false (suite.backend=transformers where it scores)"
    while not _healthy(url):
        if server and (said := server.ended()):
            raise UserError(f"the vLLM server at {url} did not start", said, change)
        if time.monotonic() > deadline:
            why = f"it did not answer within rollouts.vllm_server_timeout={patience:g} seconds"
            why += f" (its log is {server.log})" if server else ""
            raise UserError(f"the vLLM server at {url}", why, f"raise the time, {change}")
        time.sleep(POLL_SECONDS)


def _healthy(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health", timeout=ASK_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _ends_with_parent() -> None:
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)
