"""Packages that a configuration asks for and the project does not install by itself. No torch here."""

from importlib.util import find_spec

from conf.errors import UserError
from conf.schema import Configuration
from models import serving

INSTALL = "`pip install -c constraints.txt -e '.[{extra}]'`"


def check(configuration: Configuration) -> None:
    """UserError for the first that is asked for and not here."""
    model, rollouts = configuration.model, configuration.rollouts
    flash = model.attn_implementation == "flash_attention_2"
    wanted = {
        ("model.quantization=nf4", "bitsandbytes", "quantization", "model.quantization=none"): (
            model.quantization == "nf4"
        ),
        ("model.use_liger_kernel=true", "liger_kernel", "liger", "model.use_liger_kernel=false"): (
            model.use_liger_kernel
        ),
        ("model.attn_implementation=flash_attention_2", "flash_attn", "", "model.attn_implementation=sdpa"): flash,
        ("rollouts.use_vllm=true", "vllm", "vllm", "rollouts.use_vllm=false"): (
            configuration.samples_with_vllm and _imports_vllm(configuration)
        ),
    }
    for (given, package, extra, instead), asked in wanted.items():
        if asked and find_spec(package) is None:
            install = INSTALL.format(extra=extra) if extra else "`pip install flash-attn --no-build-isolation`"
            raise UserError(given, f"the package {package} is not installed", f"{install}, or set {instead}")
    starts = configuration.samples_with_vllm and rollouts.vllm_mode == "server" and not rollouts.vllm_server_base_url
    for given, asked in (("rollouts.vllm_mode=server", starts), ("suite.backend=vllm", _scores(configuration))):
        if asked and serving.executable() is None:
            change = f"{INSTALL.format(extra='vllm')} on a machine with a GPU, or set rollouts.use_vllm=false"
            change += ", suite.backend=transformers"
            raise UserError(given, "the command `vllm` is not installed", change)


def _imports_vllm(configuration: Configuration) -> bool:
    """Whether the run's own processes load vLLM: to sample, or to send weights from device to device."""
    rollouts = configuration.rollouts
    return rollouts.vllm_mode == "colocate" or rollouts.vllm_weight_sync == "nccl"


def _scores(configuration: Configuration) -> bool:
    return configuration.suite.backend == "vllm"
