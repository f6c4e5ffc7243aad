"""The hooks that packs implement. Everything Forward can do enters through one of these.

A *pack* is a module (or any object) named by an entry point in the group ``fwd``:

.. code-block:: toml

    [project.entry-points.fwd]
    my-pack = "my_pack.hooks"

It implements the hooks it needs with :data:`fwd_core.hookimpl`. Forward's own backends and
operator packs use the same hooks and no private door. Every ``fwd_register_*`` hook is called at
most once per :class:`~fwd_core.plugins.Plugins`, when its kind of thing is first needed, so a
pack whose hook module imports nothing heavy costs nothing until it is used. Hooks register;
dispatch is a dictionary look-up in the registry. An implementation may leave out parameters
that it does not use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from fwd_core.events import Event
    from fwd_core.plugins.registers import (
        AlgorithmRegister,
        BackendRegister,
        BuildOptionRegister,
        CommandRegister,
        ConverterRegister,
        ImporterRegister,
        InputMakerRegister,
        LoweringRegister,
        OperatorRegister,
        ReferenceRegister,
        RewriteRegister,
    )

PROJECT = "fwd"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def fwd_register_operators(register: OperatorRegister) -> None:
    """Define operators of the graph.

    Called once, when a graph is loaded from a file or operators are listed. Register every
    operator class of the pack, or files that hold them cannot be loaded.

    :param register: ``register.add(cls)`` takes one operator class.

    Example::

        @hookimpl
        def fwd_register_operators(register):
            register.add(Swirl)
    """


@hookspec
def fwd_register_importers(register: ImporterRegister) -> None:
    """Teach Forward to read one more kind of model.

    Called once, before the first model is imported.

    :param register: ``register.add(importer)`` takes an object of
        :class:`~fwd_core.importing.Importer`. Importers are asked in the order of their
        ``priority`` whether they accept a source. One that has a method ``results`` runs the
        model too, and builds compare their engines with what it gives.

    Example::

        @hookimpl
        def fwd_register_importers(register):
            register.add(OnnxImporter())
    """


@hookspec
def fwd_register_converters(register: ConverterRegister) -> None:
    """Convert operators of a source framework to operators of the graph.

    Called once, when the first importer that uses converters runs. A key that another pack
    holds already is an error that names both, unless ``override=True``.

    :param register: ``register.add(converter)`` takes one decorated function, and
        ``register.add_module(module)`` takes all of a module.

    Example::

        @converts("my_ops::swirl")
        def swirl(ctx, x, turns: int):
            return ctx.emit(Swirl(x, turns))

        @hookimpl
        def fwd_register_converters(register):
            register.add(swirl)
    """


@hookspec
def fwd_register_lowerings(register: LoweringRegister) -> None:
    """Say how a backend computes an operator.

    Called once, when the first graph is built. A pair of backend and operator that another
    pack holds already is an error that names both, unless ``override=True``.

    :param register: ``register.add(function)`` takes one function decorated with
        :func:`fwd_core.lowering`, and ``register.add_module(module)`` takes all of a module.

    Example::

        @lowering("openvino", Swirl)
        def swirl(ctx, op):
            return opset.sin(ctx[op.x])

        @hookimpl
        def fwd_register_lowerings(register):
            register.add(swirl)
    """


@hookspec
def fwd_register_rewrites(register: RewriteRegister) -> None:
    """Change graphs between import and lowering.

    Called once, when the first graph is built. Within a stage rewrites run in the order of
    registration, again and again until none changes anything.

    :param register: ``register.add(rewrite, stage="fusion")`` takes an object of
        :class:`~fwd_core.rewrite.Rewrite`. Stages: ``clean-up`` for what makes any graph
        simpler, ``fusion`` for what makes operators of a pack. A rewrite of the stage ``fusion``
        that only some backends or modes gain from is added with ``when``: a function that is
        asked with the :class:`~fwd_core.plugins.target.Target` of each build.
        ``target.lowers(Swirl)`` says whether the backend has a lowering of a fused operator;
        without one the parts that it would be made of do as well as its decomposition.

    Example::

        @hookimpl
        def fwd_register_rewrites(register):
            register.add(
                FuseSwirls(), stage="fusion", when=lambda target: target.lowers(Swirl)
            )
    """


@hookspec
def fwd_register_backends(register: BackendRegister) -> None:
    """Add a way to compile and run graphs.

    Called once, when a backend is first chosen. Importing the backend's own libraries must
    wait until one of its methods needs them.

    :param register: ``register.add(backend)`` takes an object of
        :class:`~fwd_core.backends.Backend`.

    Example::

        @hookimpl
        def fwd_register_backends(register):
            register.add(MyAccelerator())
    """


@hookspec
def fwd_register_calibration_algorithms(register: AlgorithmRegister) -> None:
    """Add a way to choose the ranges of tensors for int8.

    Called once, when an algorithm is first looked up. A name that another pack holds already is
    an error that names both, unless ``override=True``.

    :param register: ``register.add(algorithm)`` takes an object of
        :class:`~fwd_core.quantize.Algorithm`.

    Example::

        class Half(Algorithm):
            name = "half"

            def range_of(self, histogram):
                return histogram.maximum / 2

        @hookimpl
        def fwd_register_calibration_algorithms(register):
            register.add(Half())
    """


@hookspec
def fwd_register_build_options(register: BuildOptionRegister) -> None:
    """Add an option of builds, which changes the graph of a model for any backend.

    Called once, when a builder first looks at its options. A backend's own option of that name
    comes first.

    :param register: ``register.add(option)`` takes an object of
        :class:`~fwd_core.plugins.BuildOption`.

    Example::

        class Doubled(BuildOption):
            name = "doubled"
            summary = "twice what the model gives"

            def parse(self, value):
                return value in (True, "true")

            def apply(self, graph, value): ...

        @hookimpl
        def fwd_register_build_options(register):
            register.add(Doubled())
    """


@hookspec
def fwd_register_input_makers(register: InputMakerRegister) -> None:
    """Let engines compute some of their inputs on the host, of others, before each run.

    Called once, when an engine that needs one is made. A graph says in ``graph.derived`` which
    of its inputs are made, by whom, and of what; callers do not give them.

    :param register: ``register.add(function, name="pack.lengths")`` takes a function of NumPy
        arrays, those that :class:`~fwd_core.ir.Derived` reads, that returns those that it gives.

    Example::

        @hookimpl
        def fwd_register_input_makers(register):
            register.add(lambda mask: [mask.sum(1)], name="pack.lengths")
    """


@hookspec
def fwd_register_references(register: ReferenceRegister) -> None:
    """Let the testing kit run a framework's own model, and make every form of it.

    Called once, when :func:`fwd_core.testing.assert_parity` first runs.

    :param register: ``register.add(reference)`` takes an object of
        :class:`~fwd_core.testing.reference.Reference`.

    Example::

        @hookimpl
        def fwd_register_references(register):
            register.add(TorchReference())
    """


@hookspec
def fwd_register_commands(register: CommandRegister) -> None:
    """Add subcommands to the program ``fwd``.

    Called once, when the program starts. Import what a command needs inside the command.

    :param register: ``register.add(function, name="swirl")`` takes a function as typer does.

    Example::

        @hookimpl
        def fwd_register_commands(register):
            register.add(swirl_command, name="swirl")
    """


@hookspec
def fwd_event(event: Event) -> None:
    """Hear of progress.

    Called many times while a model is built, in the thread that builds. It must be quick and
    must not raise: a pack whose hook raises is told nothing more, and a warning says so.

    :param event: The phase, how far it is, and a line of text.

    Example::

        @hookimpl
        def fwd_event(event):
            logger.info("%s %s", event.phase, event.detail)
    """
