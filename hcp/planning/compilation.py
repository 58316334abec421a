"""Machine code of the compiled searches, made once for an installation, in a process of its own.

numba compiles a function when it is called for the first time, which takes up to half a minute here, and keeps the
code on disk. A planner that would pay for that out of its time limit asks first whether a part is ``ready``: where it
is not, a process of its own begins to compile it, and goes on when this one ends. ``hcp compile`` does all ahead.
"""

import hashlib
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

from hcp.planning.deadline import Deadline

# What a search that waits for its machine code says.
COMPILING: Final = "compiling the search, once for this installation"
STILL_COMPILING: Final = "the search was still being compiled, which happens once for an installation; plan again"

_PULSE: Final = 0.05


@dataclass
class Part:
    """Functions that are compiled together.

    Attributes:
        name: For people and files.
        module: Has a function ``compile_all`` that calls each entry point with the types that planners call it with,
            and an attribute ``compiled_function``, one of the compiled functions.
        sources: Files whose change makes the machine code stale, as a pattern in the folder of the module's file.
    """

    name: str
    module: str
    sources: str
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _ready: bool = field(default=False, repr=False)
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def ready(self) -> bool:
        """Whether calls find machine code on disk; if not, begins to compile it unless that is under way."""
        with self._lock:
            if not self._ready and self._process is None:
                self._ready = _disabled() or self._stamp.exists()
                if not self._ready:
                    self._process = _begin(self.name)
            # Where the process failed, code is compiled where it is called, as numba does.
            self._ready = self._ready or self._process is None or self._process.poll() is not None
            return self._ready

    def wait(self, deadline: Deadline, pulse: Callable[[], None] = lambda: None) -> bool:
        """Waits until the part is ready or the time is up; says whether it is ready.

        Args:
            deadline: Of the wait.
            pulse: Called now and then.
        """
        while not self.ready():
            if deadline.over:
                return False
            pulse()
            time.sleep(_PULSE)
        return True

    def compile(self) -> None:
        """Compiles the part in this process, unless that is done, and notes for others that it is ready."""
        self._ready = True
        if self._stamp.exists():
            return
        for old in self._stamp.parent.glob(f".hcp-{self.name}-*"):
            # numba looks for changes of the called function's own file alone.
            for file in self._code():
                file.unlink(missing_ok=True)
            old.unlink(missing_ok=True)
        self._loaded.compile_all()
        self._stamp.touch()

    @cached_property
    def _loaded(self) -> ModuleType:
        return import_module(self.module)

    @cached_property
    def _stamp(self) -> Path:
        """A file in the folder of the machine code, named after all that it depends on."""
        import llvmlite.binding
        import numba

        content = [numba.__version__, platform.python_version(), llvmlite.binding.get_host_cpu_name()]
        digest = hashlib.sha256("\n".join(content).encode())
        for file in self._files():
            digest.update(file.read_bytes())
        folder = Path(self._loaded.compiled_function.stats.cache_path)
        return folder / f".hcp-{self.name}-{digest.hexdigest()[:16]}"

    def _files(self) -> list[Path]:
        return sorted(Path(str(self._loaded.__file__)).parent.glob(self.sources))

    def _code(self) -> list[Path]:
        folder = self._stamp.parent
        return [code for file in self._files() for code in folder.glob(f"{file.stem}.*.nb[ci]")]


ANNEALING: Final = Part("annealing", "hcp.annealing.engine", "*.py")
ORDER_SEARCH: Final = Part("order-search", "hcp.solvers.conflicts.order_search", "*.py")
PATH_CUTS: Final = Part("path-cuts", "hcp.solvers.cut_relaxation.separation", "separation.py")
SEQUENCES: Final = Part("sequences", "hcp.planning.compiled_sequences", "*sequences.py")
PARTS: Final = (SEQUENCES, PATH_CUTS, ORDER_SEARCH, ANNEALING)


def _disabled() -> bool:
    import numba

    return bool(getattr(numba.config, "DISABLE_JIT", False))


def _begin(name: str) -> "subprocess.Popen[bytes] | None":
    """A process that compiles a part; None where none can be started."""
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import compile_parts; compile_parts({name!r})"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C ends a search, and not this.
            start_new_session=True,
        )
    except OSError:
        return None


def compile_parts(*names: str) -> None:
    """Compiles the parts of these names, or all, in this process."""
    for part in PARTS:
        if not names or part.name in names:
            part.compile()
