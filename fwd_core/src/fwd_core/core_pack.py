"""The core's own pack, by the public hooks: operators, rewrites, backends, commands and more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from fwd_core.plugins import registers as reg


@hookimpl
def fwd_register_operators(register: reg.OperatorRegister) -> None:
    """All operators of :mod:`fwd_core.ir.ops`."""
    from fwd_core.ir.ops import core_operators

    for operator in core_operators():
        register.add(operator)


@hookimpl
def fwd_register_rewrites(register: reg.RewriteRegister) -> None:
    """The clean-up of any graph, and what backends gain from."""
    from fwd_core.rewrite import cleanup
    from fwd_core.rewrite.batch_norm import FoldBatchNorm

    for rewrite in cleanup.all_rewrites():
        register.add(rewrite, stage="clean-up")
    # OpenVINO folds in its own compiler. TensorRT does too, but where half is asked for it would
    # fold weights that were rounded to half before.
    register.add(
        FoldBatchNorm(), stage="fusion", when=lambda target: target.backend.name == "tensorrt"
    )


@hookimpl
def fwd_register_backends(register: reg.BackendRegister) -> None:
    """OpenVINO and TensorRT."""
    from fwd_core.backends.openvino import OpenVINOBackend
    from fwd_core.backends.tensorrt import TensorRTBackend

    register.add(OpenVINOBackend())
    register.add(TensorRTBackend())


@hookimpl
def fwd_register_lowerings(register: reg.LoweringRegister) -> None:
    """Lowerings of both backends, a module per operator family."""
    from fwd_core.backends.openvino import lowering as openvino
    from fwd_core.backends.tensorrt import lowering as tensorrt

    for module in (*openvino.FAMILIES, *tensorrt.FAMILIES):
        register.add_module(module)


@hookimpl
def fwd_register_calibration_algorithms(register: reg.AlgorithmRegister) -> None:
    """TensorRT's, percentile and mean squared error."""
    from fwd_core.quantize.algorithms import built_in

    for algorithm in built_in():
        register.add(algorithm)


@hookimpl
def fwd_register_commands(register: reg.CommandRegister) -> None:
    """The subcommands of ``fwd``."""
    from fwd_core.cli import bench, build, check, doctor, inspect, plugins, quantize, run

    register.add(build.build, name="build")
    register.add(check.check, name="check")
    register.add(run.run, name="run")
    register.add(bench.bench, name="bench")
    register.add(quantize.quantize, name="quantize")
    register.add(inspect.inspect, name="inspect")
    register.add(plugins.plugins, name="plugins")
    register.add(doctor.doctor, name="doctor")
