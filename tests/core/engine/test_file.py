"""Engine files: what is kept, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_backend
from safetensors import safe_open
from toy_backend import Layers

from fwd_core import Builder, Engine, OptBatch, Plugins, files
from fwd_core.engine.file import FORMAT, VERSION
from fwd_core.errors import BuildError, EngineFileError, OptionError
from fwd_core.ir import save as save_graph

RNG = np.random.default_rng(2)
WEIGHT = RNG.standard_normal((4, 3)).astype(np.float32)
X = RNG.standard_normal((4, 3)).astype(np.float32)
WANTED = np.maximum(X @ WEIGHT.T, 0)
PLUGINS = toy_backend.plugins()


def _build(embed_graph: bool = False, nested: bool = False, **options: Any) -> Engine:
    builder = Builder(plugins=PLUGINS, options=options, embed_graph=embed_graph)
    model = Layers([("linear", WEIGHT), ("relu",)], nested=nested)
    return builder.build(model, (X,), dynamic=OptBatch(2))


def _load(path: Path, **more: Any) -> Engine:
    return Engine.load(path, plugins=PLUGINS, **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A saved engine."""
    found = tmp_path / "model.engine"
    _build().save(found)
    return found


class TestRoundTrip:
    def test_everything_comes_back(self, path: Path) -> None:
        built, loaded = _build(), _load(path)
        assert loaded.inputs == built.inputs
        assert loaded.outputs == built.outputs
        assert loaded.manifest == built.manifest
        assert loaded.structures == built.structures
        assert repr(loaded) == repr(built)
        for size in (1, 4):
            np.testing.assert_array_equal(loaded(X[:size]), WANTED[:size])

    def test_symbols_keep_their_ranges(self, path: Path) -> None:
        (symbol,) = _load(path).inputs[0].type.symbols
        assert (symbol.name, symbol.min, symbol.opt, symbol.max) == ("batch", 1, 2, 4)

    def test_structures(self, tmp_path: Path) -> None:
        _build(nested=True).save(tmp_path / "e")
        np.testing.assert_array_equal(_load(tmp_path / "e")([X])["y"], WANTED)

    def test_a_class_of_ones_own(self, path: Path) -> None:
        class Mine(Engine):
            pass

        assert type(Mine.load(path, plugins=PLUGINS)) is Mine

    def test_with_as_many_contexts_as_are_asked_for(self, path: Path) -> None:
        assert _load(path).contexts.limit == 2
        assert _load(path, contexts=7).contexts.limit == 7
        for wrong in (0, "7"):
            with pytest.raises(OptionError, match=f"argument 'contexts'(.|\n)*got:      {wrong!r}"):
                _load(path.parent / "no such file", contexts=wrong)

    def test_saved_again_it_is_the_same(self, path: Path, tmp_path: Path) -> None:
        _load(path).save(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == path.read_bytes()

    def test_over_the_file_that_it_was_loaded_from(self, path: Path) -> None:
        loaded = _load(path)
        loaded.save(path)
        np.testing.assert_array_equal(loaded(X), WANTED)
        np.testing.assert_array_equal(_load(path)(X), WANTED)

    def test_in_another_process(self, path: Path, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", X)
        code = (
            "import sys, numpy as np, toy_backend; from fwd_core import Engine\n"
            "engine = Engine.load(sys.argv[1], plugins=toy_backend.plugins())\n"
            "np.save(sys.argv[3], engine(np.load(sys.argv[2])))"
        )
        names = ["x.npy", "y.npy"]
        command = [sys.executable, "-c", code, str(path), *(str(tmp_path / name) for name in names)]
        helpers = str(Path(toy_backend.__file__).parent)
        subprocess.run(command, check=True, cwd=helpers)
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), WANTED)

    def test_the_manifest_can_be_read_by_anyone(self, path: Path) -> None:
        with safe_open(path, "np") as opened:
            assert list(opened.keys()) == ["plan"]
            document = json.loads(opened.metadata()["forward"])
        assert (document["format"], document["version"]) == (FORMAT, VERSION)
        assert document["manifest"]["backend"] == "toy"
        assert document["inputs"][0][0] == "x"


class TestGraphs:
    def test_are_kept_on_request(self, path: Path, tmp_path: Path) -> None:
        assert _load(path).graph is None
        built = _build(embed_graph=True)
        built.save(tmp_path / "with")
        loaded = _load(tmp_path / "with")
        assert loaded.graph is not None
        assert str(loaded.graph.verify()) == str(built.graph)
        assert loaded.graph is loaded.graph

    def test_are_kept_when_saved_again(self, tmp_path: Path) -> None:
        _build(embed_graph=True).save(tmp_path / "one")
        _load(tmp_path / "one").save(tmp_path / "two")
        assert (tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()

    def test_are_those_before_fusion(self) -> None:
        built = _build(embed_graph=True)
        assert built.graph is not None
        assert "Linear(" in str(built.graph), "the backend decomposed its own copy"


class TestOtherMachines:
    def _elsewhere(self, tmp_path: Path, **more: Any) -> Path:
        path = tmp_path / "elsewhere.engine"
        engine = _build(device="there", **more)
        engine.save(path)
        return path

    def test_the_backend_says_what_differs(self, tmp_path: Path) -> None:
        path = self._elsewhere(tmp_path)
        for rebuild in (False, True):  # without a graph there is nothing to build again
            with pytest.raises(
                EngineFileError,
                match=f"the plan was made for another device\n  at {path}\n  expected: here\n"
                "  got:      there",
            ):
                _load(path, rebuild=rebuild)

    def test_a_kept_graph_is_built_again_on_request_only(self, tmp_path: Path) -> None:
        path = self._elsewhere(tmp_path, embed_graph=True, parallel=3)
        with pytest.raises(EngineFileError, match="made for another device"):
            _load(path)
        rebuilt = _load(path, rebuild=True)
        np.testing.assert_array_equal(rebuilt(X), WANTED)
        assert rebuilt.graph is not None
        assert rebuilt.contexts.limit == 3
        assert _load(path, rebuild=True, contexts=5).contexts.limit == 5

    def test_a_backend_that_is_not_there(self, path: Path) -> None:
        with pytest.raises(
            EngineFileError,
            match=f"{path} needs backend 'toy', which no loaded pack has\n  expected: toy\n"
            "  got:      no backend\n  Hint: install what made it: toy",
        ):
            Engine.load(path, plugins=Plugins())

    def test_a_backend_that_cannot_build_again(self, tmp_path: Path) -> None:
        path = self._elsewhere(tmp_path, embed_graph=True)
        document, tensors = files.read(path, format=FORMAT, version=VERSION)
        document["manifest"]["backend"] = "absent"
        kept = {key: value for key, value in document.items() if key not in ("format", "version")}
        files.write(path, kept, tensors, format=FORMAT, version=VERSION)
        with pytest.raises(BuildError, match="backend 'absent' cannot build here"):
            _load(path, rebuild=True)


class TestDamage:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(EngineFileError, match="there is no file .*nothing.engine"):
            _load(tmp_path / "nothing.engine")

    @pytest.mark.parametrize("kept", [0, 7, 0.3, 0.9])
    def test_truncated(self, path: Path, kept: float) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(kept if kept >= 1 else len(data) * kept)])
        with pytest.raises(
            EngineFileError,
            match=f"{path} is (an empty file|too short|truncated)[\\s\\S]*Hint: make",
        ):
            _load(path)

    def test_one_byte_of_the_plan(self, path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[-20] ^= 0x40
        path.write_bytes(data)
        with pytest.raises(
            EngineFileError,
            match=r"altered or damaged: its SHA-256 does not fit\n  expected: [0-9a-f]{64}\n",
        ):
            _load(path)

    @pytest.mark.parametrize(
        ("old", "new"),
        [(b"float32", b"float16"), (b"batch", b"botch"), (b'\\"toy\\"', b'\\"tox\\"')],
    )
    def test_one_word_of_the_header(self, path: Path, old: bytes, new: bytes) -> None:
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new, 1))
        with pytest.raises(EngineFileError, match="altered or damaged: its SHA-256 does not fit"):
            _load(path)

    def test_another_version(self, path: Path) -> None:
        files.write(path, {}, {}, format=FORMAT, version=VERSION + 1)
        with pytest.raises(
            EngineFileError,
            match=f"another version of forward-engine\n  expected: version {VERSION}\n"
            f"  got:      version {VERSION + 1}\n  Hint: make it again with this version",
        ):
            _load(path)

    def test_another_format(self, path: Path) -> None:
        engine = _build(embed_graph=True)
        assert engine.graph is not None
        save_graph(engine.graph, path)
        with pytest.raises(
            EngineFileError,
            match="another kind of file\n  expected: forward-engine\n  got:      forward-graph",
        ):
            _load(path)

    @pytest.mark.parametrize(
        "content", [b"PK\x03\x04 a zip", b"\x80\x02}q\x00. more", b"{} and more"]
    )
    def test_something_else(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        with pytest.raises(EngineFileError, match="is not a file that Forward wrote"):
            _load(path)

    def test_an_unwritable_folder(self, tmp_path: Path) -> None:
        with pytest.raises(EngineFileError, match="cannot write .*: No such file or directory"):
            _build().save(tmp_path / "nowhere" / "e")

    def test_a_failed_save_leaves_the_old_file(self, path: Path) -> None:
        old = path.read_bytes()
        code = (
            "import resource, signal, sys, toy_backend\n"
            "from fwd_core import Engine\n"
            "from fwd_core.errors import EngineFileError\n"
            "engine = Engine.load(sys.argv[1], plugins=toy_backend.plugins())\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
            "try:\n"
            "    engine.save(sys.argv[1])\n"
            "except EngineFileError as error:\n"
            "    print(error)\n"
        )
        command = [sys.executable, "-B", "-c", code, str(path)]
        helpers = str(Path(toy_backend.__file__).parent)
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=helpers)
        assert done.stdout.startswith(f"cannot write {path}: ")
        assert path.read_bytes() == old
        assert [found.name for found in path.parent.iterdir()] == [path.name]
