"""Rules about the tree itself that a tool does not check."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[3]


def _tracked() -> list[pathlib.Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines()]


def test_operator_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not [path for path in (ROOT / "tests").rglob("operator") if path.is_dir()]


def test_no_module_outgrows_one_idea() -> None:
    sources = [path for path in _tracked() if path.suffix == ".py" and "tests" not in path.parts and path.exists()]
    assert sources
    too_long = {str(path.relative_to(ROOT)): lines for path in sources if (lines := _lines(path)) > 500}
    assert too_long == {}


def test_lock_files_name_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / name).read_text()


def _lines(path: pathlib.Path) -> int:
    return len(path.read_text().splitlines())
