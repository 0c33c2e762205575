"""hardware=any and hardware.mixed_precision=auto: the machine is looked at, and what it has takes their places."""

from conf.schema import Configuration
from launch import machine

# part of the name that nvidia-smi shows -> dense bfloat16 TFLOP/s, memory GB/s, GB/s to other devices each way, as the
# makers' data sheets have them; the first that fits
SPEEDS = {
    "B200": (2250, 8000, 900),
    "H200": (989, 4800, 450),
    "H100 PCIe": (756, 2000, 64),
    "H100": (989, 3350, 450),
    "A100-SXM4-40GB": (312, 1555, 300),
    "A100 80GB PCIe": (312, 1935, 32),
    "A100": (312, 2039, 300),
    "L40S": (362, 864, 32),
    "RTX 4090": (165, 1008, 32),
}
SPEED_KEYS = ("peak_tflops", "memory_bandwidth_gbs", "interconnect_gbs")


def chosen() -> list[str]:
    """The overrides that hardware=any stands for on this machine."""
    names = machine.devices()
    if not names:
        return ["hardware=cpu"]
    facts: dict[str, object] = {"device_name": names[0], "device_memory_gib": round(machine.device_memory_gib(), 1)}
    facts |= {"host_memory_gib": round(machine.memory_gb() * 1e9 / 2**30), "price_per_device_hour": 0}
    speeds = next((found for part, found in SPEEDS.items() if part in names[0]), (0, 0, 0))
    facts |= zip(SPEED_KEYS, speeds, strict=True)
    if len(names) > 1:
        facts["processes"] = len(names)
    option = "gpu8" if len(names) > 1 else "gpu1"
    return [f"hardware={option}", *(f"hardware.{key}={_quoted(value)}" for key, value in facts.items())]


def with_precision(configuration: Configuration) -> Configuration:
    """What hardware.mixed_precision=auto is here: bf16 on CUDA, and on a processor with instructions for it, which
    elsewhere would be slower than float32; DeepSpeed has none on a processor."""
    hardware = configuration.hardware
    if hardware.mixed_precision != "auto":
        return configuration
    fast = hardware.device == "cuda" or (machine.has_bfloat16() and not hardware.zero_stage)
    rounds = fast and configuration.model.dtype == "float32"
    chosen = hardware.model_copy(update={"mixed_precision": "bf16" if rounds else "no"})
    return configuration.model_copy(update={"hardware": chosen})


def _quoted(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
