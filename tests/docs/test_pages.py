"""Python blocks of the tutorial, the guides and CONTRIBUTING run, each page from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")
pytest.importorskip("tensorrt_rtx")

from fwd_core import Plugins

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Blocks that need a GPU: they are read here and run nowhere.
ON_GPU = re.compile(r"^```py\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in sorted(
        [
            *ROOT.glob("docs/tutorial/*.md"),
            *ROOT.glob("docs/how-to/*.md"),
            *ROOT.glob("docs/explanation/*.md"),
            ROOT / "CONTRIBUTING.md",
        ]
    )
    if BLOCK.search(page.read_text(encoding="utf-8"))
]


def test_there_are_pages() -> None:
    assert len(PAGES) >= 4


def test_the_front_pages_say_the_same_of_what_runs_where() -> None:
    tables = [
        re.findall(
            r"^\|.*\|$", page.read_text(encoding="utf-8").partition("## What runs")[2], re.MULTILINE
        )
        for page in (ROOT / "README.md", ROOT / "docs/index.md")
    ]
    assert len(tables[0]) > 3
    assert tables[0] == tables[1]


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_front_pages_say_how_many_operators_are_converted(page: str) -> None:
    keys = {
        entry.key for entry in Plugins.discover({}).converters.entries() if entry.owner == "torch"
    }
    count = len({key for key in keys if not key.endswith("_")})
    text = (ROOT / page).read_text(encoding="utf-8")
    said = re.findall(r"More than (\d+)00 operators of PyTorch are converted", text)
    assert said == [str((count - 1) // 100)], f"{count} are converted"


def test_the_reference_of_what_scripts_import_is_whole() -> None:
    import forward

    page = (ROOT / "docs/reference/forward.md").read_text(encoding="utf-8")
    assert not [name for name in forward.__all__ if name not in page and name != "__version__"]


def test_pages_that_only_the_site_has_are_said_to_be_made() -> None:
    pages = {page: page.read_text(encoding="utf-8") for page in ROOT.glob("docs/**/*.md")}
    made = re.compile(r"\]\([^)\s]*reference/(?:cli|hooks|operators)\.md")
    linking = [page for page, text in pages.items() if made.search(text)]
    assert len(linking) > 4
    silent = [str(page) for page in linking if "made by `nox -s docs`" not in pages[page]]
    assert not silent
    assert "made by `nox -s docs`" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_blocks_for_a_gpu_are_python() -> None:
    found = 0
    for page in ROOT.glob("docs/**/*.md"):
        for block in ON_GPU.finditer(page.read_text(encoding="utf-8")):
            compile(block[1], str(page), "exec", dont_inherit=True)
            found += 1
    assert found > 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.filterwarnings(
    "ignore:`torch.jit.:DeprecationWarning"  # the tutorial makes a TorchScript file on purpose
)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # and so does the guide to BERT
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # tracing reads it
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks
    # What the page defines must look like a module's, or dataclasses cannot read annotations.
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        line = text.count("\n", 0, block.start()) + 1
        code = compile("\n" * line + block[1], str(page), "exec", dont_inherit=True)
        exec(code, namespace)
