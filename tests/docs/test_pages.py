"""Python blocks of the tutorial, the guides and CONTRIBUTING run, each page from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in sorted(
        [
            *ROOT.glob("docs/tutorial/*.md"),
            *ROOT.glob("docs/how-to/*.md"),
            ROOT / "CONTRIBUTING.md",
        ]
    )
    if BLOCK.search(page.read_text(encoding="utf-8"))
]


def test_there_are_pages() -> None:
    assert len(PAGES) >= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.filterwarnings(
    "ignore:`torch.jit.:DeprecationWarning"  # the tutorial makes a TorchScript file on purpose
)
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
