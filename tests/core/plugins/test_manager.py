"""Finding packs, asking their hooks, and what happens when one of them fails."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import toy_backend
from toy_ops import Halves

from fwd_core import Plugins, hookimpl
from fwd_core.errors import ForwardWarning, PluginError
from fwd_core.events import Event


class Pack:
    """Defines one operator."""

    def __init__(self) -> None:
        self.calls = 0

    @hookimpl
    def fwd_register_operators(self, register: Any) -> None:
        self.calls += 1
        register.add(Halves)


class Broken:
    """Fails after it registered something."""

    @hookimpl
    def fwd_register_operators(self, register: Any) -> None:
        register.add(Halves)
        raise OSError("no such thing")


def test_each_hook_is_asked_once_and_only_when_needed() -> None:
    pack = Pack()
    plugins = Plugins({"mine": pack})
    assert pack.calls == 0
    assert dict(plugins.operators) == {"toy.Halves": Halves}
    assert plugins.operators.owner("toy.Halves") == "mine"
    assert pack.calls == 1


def test_every_kind_of_registry() -> None:
    plugins = toy_backend.plugins()
    assert plugins.packs["toy"].hooks == [
        "fwd_register_backends",
        "fwd_register_converters",
        "fwd_register_importers",
        "fwd_register_lowerings",
        "fwd_register_operators",
        "fwd_register_rewrites",
    ]
    assert list(plugins.backends) == ["toy", "absent"]
    assert list(plugins.importers) == ["layers"]
    assert list(plugins.converters) == ["toy::linear", "toy::add", "toy::relu"]
    assert "toy:fwd.MatMul" in plugins.lowerings
    assert "remove-dead-code" in plugins.rewrites
    assert "toy.Halves" in plugins.operators
    assert list(plugins.references) == list(plugins.commands) == []


def test_a_hook_that_fails_leaves_nothing_behind_and_breaks_no_other() -> None:
    plugins = Plugins({"broken": Broken(), "mine": Pack()})
    assert plugins.operators.owner("toy.Halves") == "mine"
    reason = plugins.packs["broken"].failure
    assert reason.startswith("fwd_register_operators: OSError: no such thing (")
    assert f"{Path(__file__).name}:" in reason
    assert plugins.failures() == [f"pack 'broken': {reason}"]


class Panic(BaseException):
    """What extensions in Rust raise is no Exception."""


def test_a_hook_that_panics_breaks_no_other() -> None:
    class Panicking:
        @hookimpl
        def fwd_register_operators(self, register: Any) -> None:
            raise Panic("the bottom fell out")

    plugins = Plugins({"broken": Panicking(), "mine": Pack()})
    assert plugins.operators.owner("toy.Halves") == "mine"
    assert "fwd_register_operators: Panic: the bottom" in plugins.packs["broken"].failure


@pytest.mark.parametrize("error", [OSError, Panic, SystemExit], ids=lambda cls: cls.__name__)
def test_a_listener_that_raises_hears_no_more_and_breaks_nothing(
    error: type[BaseException],
) -> None:
    heard: list[str] = []

    class Good:
        @hookimpl
        def fwd_event(self, event: Event) -> None:
            heard.append(f"good {event.phase}")

    class Bad:
        @hookimpl
        def fwd_register_operators(self, register: Any) -> None:
            raise OSError("no such thing")

        @hookimpl
        def fwd_event(self, event: Event) -> None:
            heard.append(f"bad {event.phase}")
            raise error("no ears")

    plugins = Plugins({"first": Good(), "bad": Bad(), "last": Good()})
    assert dict(plugins.operators) == {}
    with pytest.warns(
        ForwardWarning,
        match=f"pack 'bad' is told of progress no more: its hook fwd_event raised "
        f"{error.__name__}: no ears",
    ):
        plugins.send(Event("import", "start"))
    plugins.send(Event("lower", "start"))
    plugins.register("late", Good())
    plugins.send(Event("compile", "start"))
    assert heard == [
        *["good import", "bad import", "good import"],
        *["good lower"] * 2,
        *["good compile"] * 3,
    ]
    (failure,) = plugins.failures()
    assert "fwd_register_operators: OSError: no such thing" in failure
    assert failure.count(f"; fwd_event: {error.__name__}: no ears (") == 1


def test_what_warned_already_is_not_told_again() -> None:
    class Deaf(Broken):
        @hookimpl
        def fwd_event(self, event: Event) -> None:
            raise OSError("no ears")

    plugins = Plugins({"deaf": Deaf()})
    with pytest.warns(ForwardWarning, match="told of progress no more"):
        plugins.send(Event("import", "start"))
    plugins.warn_of_failures()
    _ = plugins.operators
    with pytest.warns(ForwardWarning, match="pack 'deaf' is not used, or only in part: .*no such"):
        plugins.warn_of_failures()
    plugins.warn_of_failures()


def test_an_interrupt_in_a_hook_is_the_users() -> None:
    class Slow:
        @hookimpl
        def fwd_event(self, event: Event) -> None:
            raise KeyboardInterrupt

        @hookimpl
        def fwd_register_operators(self, register: Any) -> None:
            raise KeyboardInterrupt

    plugins = Plugins({"slow": Slow()})
    with pytest.raises(KeyboardInterrupt):
        plugins.send(Event("import", "start"))
    with pytest.raises(KeyboardInterrupt):
        _ = plugins.operators
    assert plugins.failures() == []


def test_an_object_whose_names_cannot_be_listed() -> None:
    class Odd:
        def __init__(self, error: type[BaseException]) -> None:
            self.error = error

        def __dir__(self) -> list[str]:
            raise self.error("no names")

    plugins = Plugins({"mine": Pack()})
    with pytest.raises(PluginError, match="pack 'odd': Panic: no names"):
        plugins.register("odd", Odd(Panic))
    with pytest.raises(KeyboardInterrupt):
        plugins.register("odd", Odd(KeyboardInterrupt))
    assert list(plugins.packs) == ["mine"]
    assert dict(plugins.operators), "the others still work"


def test_two_packs_with_one_operator() -> None:
    plugins = Plugins({"one": Pack(), "other": Pack()})
    with pytest.raises(PluginError, match="both register operator 'toy.Halves': packs 'one' and"):
        _ = plugins.operators


def test_names_are_unique() -> None:
    plugins = Plugins({"mine": Pack()})
    with pytest.raises(PluginError, match="two packs are called 'mine'\n  Hint: give one another"):
        plugins.register("mine", Pack())


def test_one_module_under_two_names() -> None:
    pack = Pack()
    plugins = Plugins({"mine": pack})
    with pytest.raises(PluginError, match="pack 'again': its hooks are those of pack 'mine'"):
        plugins.register("again", pack)
    assert list(plugins.packs) == ["mine"]


def test_objects_that_cannot_hold_hooks() -> None:
    with pytest.raises(PluginError, match="pack 'bad': a dict cannot hold hooks: it is not hash"):
        Plugins({"bad": {}})


def test_parameters_that_the_hook_does_not_have() -> None:
    class Misused:
        @hookimpl
        def fwd_register_operators(self, registry: Any) -> None: ...

    with pytest.raises(
        PluginError, match="pack 'bad': [\\s\\S]*fwd_register_operators[\\s\\S]*registry"
    ):
        Plugins({"bad": Misused()})


def test_hooks_that_do_not_exist() -> None:
    class Misspelt:
        @hookimpl
        def fwd_register_operator(self, register: Any) -> None: ...

    plugins = Plugins({"mine": Pack()})
    with pytest.raises(PluginError, match="pack 'bad': unknown hook 'fwd_register_operator'"):
        plugins.register("bad", Misspelt())
    assert dict(plugins.operators), "the others still work"
    plugins.register("more", object())


def test_hooks_may_leave_out_parameters() -> None:
    class Curious:
        def __init__(self) -> None:
            self.heard = 0

        @hookimpl
        def fwd_event(self) -> None:
            self.heard += 1

    pack = Curious()
    Plugins({"mine": pack}).send(Event("import", "start"))
    assert pack.heard == 1


def test_events_reach_all_packs() -> None:
    heard: list[Event] = []

    class Listener:
        @hookimpl
        def fwd_event(self, event: Event) -> None:
            heard.append(event)

    event = Event("import", "start")
    Plugins({"a": Listener(), "b": Listener()}).send(event)
    assert heard == [event, event]


def test_trace_prints_hook_calls(capsys: pytest.CaptureFixture[str]) -> None:
    _ = Plugins({"mine": Pack()}, trace=True).operators
    assert "fwd_register_operators [hook]" in capsys.readouterr().err
    _ = Plugins({"mine": Pack()}).operators
    assert capsys.readouterr().err == ""


class TestDiscovery:
    """With real distributions in a folder on ``sys.path``."""

    @pytest.fixture
    def install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """A function that installs a distribution with one pack of that source text."""
        monkeypatch.syspath_prepend(tmp_path)
        installed: list[str] = []

        def put(distribution: str, pack: str, source: str) -> None:
            module = f"{distribution.replace('-', '_')}_hooks"
            installed.append(module)
            (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
            info = tmp_path / f"{distribution.replace('-', '_')}-3.1.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 3.1\n", encoding="utf-8"
            )
            (info / "entry_points.txt").write_text(f"[fwd]\n{pack} = {module}\n", encoding="utf-8")
            importlib.invalidate_caches()

        yield put
        for module in installed:
            sys.modules.pop(module, None)

    GOOD = (
        "from fwd_core import hookimpl\n"
        "@hookimpl\n"
        "def fwd_register_commands(register):\n"
        "    register.add(print, name='hello')\n"
    )

    def test_installed_packs_are_found(self, install: Any) -> None:
        install("good-dist", "good", self.GOOD)
        plugins = Plugins.discover({})
        pack = plugins.packs["good"]
        assert (pack.distribution, pack.version, pack.failure) == ("good-dist", "3.1", "")
        assert pack.hooks == ["fwd_register_commands"]
        assert plugins.commands.owner("hello") == "good"
        assert next(iter(plugins.packs)) == "core", "the core comes first"

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            (
                "import no_such_module_anywhere\n",
                "ModuleNotFoundError: No module named 'no_such_mod",
            ),
            ("1 / 0\n", "ZeroDivisionError: division by zero"),
            ("def broken(:\n", "SyntaxError: "),
            ("raise SystemExit('bye')\n", "SystemExit: bye"),
            ("class Panic(BaseException): ...\nraise Panic('rust')\n", "Panic: rust"),
        ],
    )
    def test_a_pack_that_fails_to_import_breaks_no_other(
        self, install: Any, source: str, reason: str
    ) -> None:
        install("bad-dist", "bad", source)
        install("good-dist", "good", self.GOOD)
        plugins = Plugins.discover({})
        assert plugins.packs["bad"].failure.startswith(reason)
        assert plugins.packs["bad"].distribution == "bad-dist"
        assert plugins.commands.owner("hello") == "good"

    def test_an_interrupt_while_a_pack_imports_is_the_users(self, install: Any) -> None:
        install("slow-dist", "slow", "raise KeyboardInterrupt\n")
        with pytest.raises(KeyboardInterrupt):
            Plugins.discover({})

    def test_an_installed_pack_that_misuses_a_hook_breaks_no_other(self, install: Any) -> None:
        install("bad-dist", "bad", self.GOOD.replace("register)", "wrong)"))
        install("good-dist", "good", self.GOOD)
        plugins = Plugins.discover({})
        assert "fwd_register_commands" in plugins.packs["bad"].failure
        assert plugins.packs["bad"].hooks == []
        assert plugins.commands.owner("hello") == "good"

    def test_two_distributions_with_one_pack_name(self, install: Any) -> None:
        install("one-dist", "same", self.GOOD)
        install("two-dist", "same", self.GOOD)
        failure = Plugins.discover({}).packs["same"].failure
        assert failure == "several distributions have a pack 'same': one-dist, two-dist"

    def test_exactly_these(self, install: Any) -> None:
        install("good-dist", "good", self.GOOD)
        packs = Plugins.discover({"FWD_PACKS": " good , "}).packs
        assert not packs["good"].disabled
        assert not packs["core"].disabled, "the core cannot be left out"
        others = set(packs) - {"good", "core"}
        assert all(packs[name].disabled for name in others)
        assert all(
            pack.disabled
            for name, pack in Plugins.discover({"FWD_PACKS": ""}).packs.items()
            if name != "core"
        )

    def test_all_but_these(self, install: Any) -> None:
        install("good-dist", "good", self.GOOD)
        plugins = Plugins.discover({"FWD_DISABLE_PACKS": "good,core"})
        assert plugins.packs["good"].disabled
        assert not plugins.packs["core"].disabled
        assert "hello" not in plugins.commands

    @pytest.mark.parametrize("variable", ["FWD_PACKS", "FWD_DISABLE_PACKS"])
    def test_names_that_are_not_installed(self, variable: str) -> None:
        with pytest.raises(PluginError) as caught:
            Plugins.discover({variable: "nobody,core,ghost"})
        error = caught.value
        assert error.what == f"{variable} names packs that are not installed: ghost, nobody"
        assert re.match("installed packs: .*core", str(error.expected))
        assert error.hint == f"correct {variable}, or unset it"

    def test_trace_variable(self, capsys: pytest.CaptureFixture[str]) -> None:
        for value, expected in (("1", True), ("0", False), ("", False)):
            _ = Plugins.discover({"FWD_TRACE_HOOKS": value, "FWD_PACKS": ""}).operators
            assert ("[hook]" in capsys.readouterr().err) is expected

    def test_the_environment_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FWD_PACKS", "ghost")
        with pytest.raises(PluginError, match="FWD_PACKS names packs"):
            Plugins.discover()
