"""Where networks run, told in one place: CUDA, then Apple's MPS where it works, else the CPU."""

from typing import Final

import torch
from torch import Tensor, nn

from insignia.core.errors import InputError

__all__ = ["find_device", "rng_devices", "room", "widened"]

_KINDS: Final = ("cpu", "cuda", "mps")
# a CPU pass should stay near its caches; more rows at a time are not faster
_CPU_NUMBERS: Final = 2**22
# of an accelerator's free memory: the way back needs as much again, and other processes may share the device
_SHARE: Final = 0.3
_UNKNOWN_MEMORY: Final = 2**31


def find_device(name: str = "auto") -> torch.device:
    """Return a device by name; ``"auto"`` is CUDA, then MPS where it works, else the CPU.

    Parameters
    ----------
    name
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.

    Raises
    ------
    InputError
        There is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _mps_works() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in _KINDS:
        raise InputError(f"device is 'auto', 'cpu', 'cuda', 'cuda:1' (the second) or 'mps'; found {name!r}.")
    if not _is_there(device):
        raise InputError(
            f"There is no device {name!r} here (torch {torch.__version__} sees {torch.cuda.device_count()} CUDA "
            f"devices{' and MPS' if _mps_works() else ''}). Use device='auto', or install a build of torch for it."
        )
    return device


def room(device: torch.device, dtype: torch.dtype = torch.float32) -> int:
    """How many numbers one pass through a network may hold: a share of the device's free memory, little on the CPU."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    elif device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    elif device.type == "cpu":
        return _CPU_NUMBERS
    else:
        free = _UNKNOWN_MEMORY
    return max(1, int(_SHARE * free) // dtype.itemsize)


def rng_devices(module: nn.Module) -> list[torch.device]:
    """Return the accelerators on which a module draws random numbers, such as those of dropout."""
    found = {tensor.device for tensor in (*module.parameters(), *module.buffers())}
    return sorted((device for device in found if device.type == "cuda"), key=str)


def widened(values: Tensor) -> Tensor:
    """Return values in float64 where the device has it, which MPS does not."""
    return values if values.device.type == "mps" else values.double()


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or _mps_works()


def _mps_works() -> bool:
    """Whether Apple's GPU is there and computes: builds exist in which it is announced and fails."""
    if not torch.backends.mps.is_available():
        return False
    try:
        return float(torch.ones(2, device="mps").sum()) == 2.0
    except RuntimeError:
        return False
