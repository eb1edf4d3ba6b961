"""What the kernel knows of a process."""

import os
import pathlib

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024


def cpu_seconds(pid: int) -> float:
    """The CPU time that all its threads took, in its own code and for it in the kernel's (proc(5), `stat`)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mib(pid: int) -> tuple[float, float]:
    """The memory that it has, and the most that it had, in MiB (proc(5), `VmRSS` and `VmHWM` of `status`)."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines)
    now, most = (int(values[name].split()[0]) / _KIB for name in ("VmRSS", "VmHWM"))
    return now, most
