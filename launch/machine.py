"""What this machine has, found without torch: cores, memory, a CUDA device, the model hub."""

import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

import psutil

HUB_SECONDS = 4.0
PROCESSOR = Path("/proc/cpuinfo")
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # a processor's names for bfloat16 products: two of x86, one of ARM


def devices() -> list[str]:
    """Names of the CUDA devices; empty without one."""
    if shutil.which("nvidia-smi") is None:
        return [path.name for path in Path("/dev").glob("nvidia[0-9]*")]
    return _asked("name")


def device_memory_gib() -> float:
    """Memory of the smallest CUDA device, GiB; 0 where that cannot be asked."""
    sizes = _asked("memory.total") if shutil.which("nvidia-smi") else []
    return min((float(size) for size in sizes), default=0.0) / 1024


def has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16; what does not tell, has not."""
    if not PROCESSOR.is_file():
        return False
    lines = PROCESSOR.read_text(errors="replace").splitlines()
    words = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    return bool(BFLOAT16 & set(words.split()))


def _asked(field: str) -> list[str]:
    """What nvidia-smi says of each device; nothing where it does not answer."""
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return []
    return answer.stdout.strip().splitlines() if answer.returncode == 0 else []


def hub_reachable() -> bool:
    """Whether the model hub answers within a few seconds; a name look-up that hangs counts as no."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(_asks_hub()), daemon=True)
    thread.start()
    thread.join(HUB_SECONDS)
    return bool(answers and answers[0])


def hub_refusal(repository: str, kind: str = "model") -> str | None:
    """Why the hub does not give `repository` to this machine's user, in words; None where it does, or does not say."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        HfApi().auth_check(repository, repo_type=kind)
    except GatedRepoError:
        page = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repository}"
        return f"it is gated, and this machine's user has no access; its conditions stand at {page}"
    except RepositoryNotFoundError:
        return f"the hub has no such {kind}, or it is private"
    except HfHubHTTPError as error:
        status = error.response.status_code
        return f"the hub refuses this machine's token ({status})" if status in (401, 403) else None
    except (HTTPError, OSError):
        return None
    return None


def cached(repository: str, kind: str = "model") -> bool:
    """Whether the hub's cache on this machine holds something of `repository`."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"{kind}s--{repository.replace('/', '--')}" / "snapshots"
    return folder.is_dir() and any(folder.iterdir())


def memory_gb() -> float:
    """Installed memory, GB."""
    return psutil.virtual_memory().total / 1e9


def cores() -> int:
    """Cores this process may use."""
    return len(psutil.Process().cpu_affinity())


def _asks_hub() -> bool:
    from huggingface_hub.constants import ENDPOINT

    try:
        urllib.request.urlopen(ENDPOINT, timeout=HUB_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True
