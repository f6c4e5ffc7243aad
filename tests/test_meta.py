"""Rules of the workspace that no tool checks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ["fwd_core/src", "fwd_ops_torch/src", "fwd_plugins_bert/src", "examples", "benchmarks"]
DISTRIBUTIONS = ["fwd_core", "fwd_ops_torch", "fwd_plugins_bert"]
#: Characters beyond ASCII that texts need: dashes, an ellipsis, arrows, comparison, multiplication.
ALLOWED = set("…–—→▶≤≥×±·“”‘’§²³µé")


def _tracked(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = [ROOT / name for name in listed.stdout.split("\0") if name.endswith(suffixes or "")]
    return [path for path in found if path.is_file()]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None  # a binary file


pytestmark = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="reads what git tracks, and this is no checkout"
)


def test_files_stay_small() -> None:
    sources = [
        path
        for path in _tracked(".py")
        if any(path.is_relative_to(ROOT / folder) for folder in SOURCES)
    ]
    tests = [path for path in _tracked(".py") if path.is_relative_to(ROOT / "tests")]
    assert len(sources) > 50
    assert len(tests) > 20
    too_long = [
        f"{path.relative_to(ROOT)}: {count} lines, at most {limit}"
        for limit, paths in ((500, sources), (600, tests))
        for path in paths
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > limit
    ]
    assert not too_long


def test_links_resolve() -> None:
    pages = _tracked(".md")
    assert len(pages) > 5
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:|#", target)
    ]
    assert links
    generated = {"cli.md", "hooks.md", "operators.md"}  # made when the site is built
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page, target in links
        if Path(target).name.split("#")[0] not in generated
        and not (page.parent / target.split("#")[0]).exists()
    ]
    assert not broken


def test_no_merge_is_left_half_done() -> None:
    marks = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
    texts = {path: _text(path) for path in _tracked()}
    assert len(texts) > 500
    assert marks.search("kept\n" + "<" * 7 + " HEAD\n")
    left = [
        str(path.relative_to(ROOT)) for path, text in texts.items() if text and marks.search(text)
    ]
    assert not left


def test_sources_are_ascii_but_for_signs() -> None:
    # Tests may hold any text: some read documents in other scripts.
    files = [
        path
        for path in _tracked(".py", ".toml", ".yml", ".yaml")
        if not path.is_relative_to(ROOT / "tests")
    ]
    assert len(files) > 80
    strange = [
        f"{path.relative_to(ROOT)}:{number}: {sorted(set(line) - ALLOWED - _ASCII)}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if set(line) - ALLOWED - _ASCII
    ]
    assert not strange


_ASCII = {chr(code) for code in range(128)}


def test_nothing_names_a_place_of_the_machine_it_was_written_on() -> None:
    # Spelt in two parts, so that this file does not name them either.
    places = ["/" + "work/", "/" + "root/"]
    files = _tracked()
    assert len(files) > 150
    naming = [
        str(path.relative_to(ROOT))
        for path in files
        if (text := _text(path)) is not None and any(place in text for place in places)
    ]
    assert not naming


def test_every_test_file_tests_something() -> None:
    files = [path for path in _tracked(".py") if path.name.startswith("test_")]
    assert len(files) > 40
    empty = [
        str(path.relative_to(ROOT))
        for path in files
        if not re.search(r"^\s*(?:async )?def test_|parametrize", path.read_text(), re.MULTILINE)
    ]
    assert not empty


def test_licenses_are_the_same() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    for name in DISTRIBUTIONS:
        assert (ROOT / name / "LICENSE").read_text() == text


def test_change_fragments_have_names_that_are_collected() -> None:
    fragments = [path for name in DISTRIBUTIONS for path in (ROOT / name / "changes").iterdir()]
    assert fragments
    pattern = re.compile(r"(\d+|\+[a-z0-9-]+)\.(feature|fix|change|removal|doc)(\.\d+)?\.md")
    wrong = [str(path.relative_to(ROOT)) for path in fragments if not pattern.fullmatch(path.name)]
    assert not wrong
    for path in fragments:
        assert path.read_text(encoding="utf-8").strip(), path


def test_ci_script_can_be_run() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_pinned_versions_are_those_that_the_distributions_take() -> None:
    pins = dict(
        re.findall(
            r"^([a-z0-9-]+)==([^;\s]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE
        )
    )
    assert len(pins) > 20
    needed: set[str] = set()
    for name in DISTRIBUTIONS:
        text = (ROOT / name / "pyproject.toml").read_text()
        needed |= set(re.findall(r'"([a-z0-9-]+)(?:\[[a-z,]+\])?>=', text))
    needed -= {"fwd-core", "fwd-ops-torch", "fwd-plugins-bert"}
    assert needed
    # TensorRT is not installed where there is no GPU; pytest's own dependents are pinned by it.
    assert needed - set(pins) <= {"tensorrt"}
