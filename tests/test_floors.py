"""A floor imports only from the floors below it, and the lowest and the highest do without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEIGHT = {"conf": 1, "rewards": 1, "models": 2, "data": 3, "evaluation": 4, "train": 5, "launch": 6}


def imported(file: Path) -> set[str]:
    """Floors that a file imports from, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names} & set(HEIGHT)


@pytest.mark.parametrize("floor", HEIGHT)
def test_imports_go_down_only(floor: str) -> None:
    for file in (ROOT / floor).rglob("*.py"):
        above = {name for name in imported(file) - {floor} if HEIGHT[name] >= HEIGHT[floor]}
        assert not above, f"{file.relative_to(ROOT)} imports from {sorted(above)}, which is not below {floor}"


LIGHT = "conf rewards launch.__main__ launch.pair launch.sweep launch.evaluate launch.report launch.base launch.stage"
LIGHT += " launch.compare launch.audit launch.targets launch.fetch train.lock train.facts train.audit"


@pytest.mark.parametrize("module", LIGHT.split())
def test_import_loads_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
