"""Let spyne 2.14 import on Python 3.12 and 3.13. Import and install this before the first `import spyne`.

spyne carries its own copy of six whose importer for `six.moves` still speaks the finder protocol that Python 3.12
removed (`find_module`, `load_module`; https://docs.python.org/3/whatsnew/3.12.html#imp). Replacing that copy by the
real six is not enough, because spyne's copy has a helper of its own. So the copy is kept and its importer is taught
the present protocol (PEP 451). Python 3.13 also lost the `cgi` module; the requirement `legacy-cgi` brings it back.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

_SIX = "spyne.util.six"


def install() -> None:
    """Load spyne's six with a working importer; does nothing when spyne is already imported.

    On 3.11 as well: the old importer still works there, but it breaks tools that ask every importer for `find_spec`.
    """
    if _SIX in sys.modules:
        return
    # For a top-level name, find_spec looks without importing.
    package = importlib.util.find_spec("spyne")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("spyne is not installed")
    path = Path(package.submodule_search_locations[0]) / "util" / "six.py"
    spec = importlib.util.spec_from_file_location(_SIX, path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{_SIX} cannot be loaded")
    six = importlib.util.module_from_spec(spec)
    sys.modules[_SIX] = six
    spec.loader.exec_module(six)
    _teach_present_protocol(type(six._importer))


def _teach_present_protocol(importer_class: Any) -> None:
    """Give six's importer the three methods that the import system asks for since PEP 451."""

    def find_spec(
        self: Any, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name in self.known_modules else None

    def create_module(self: Any, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module: ModuleType = self.load_module(spec.name)
        return module

    def exec_module(_self: Any, _module: ModuleType) -> None:
        """Everything was done when the module was made."""

    importer_class.find_spec = find_spec
    importer_class.create_module = create_module
    importer_class.exec_module = exec_module
