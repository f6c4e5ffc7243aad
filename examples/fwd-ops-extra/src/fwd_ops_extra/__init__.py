"""A pack for Forward: the activation snake (Ziyin, Hartwig and Ueda, 2020)."""

from fwd_core import hookimpl, lowering
from fwd_core.ir import Operator, TensorType, Value, operator


@operator
class Snake(Operator, namespace="extra"):
    """x + sin(a x)^2 / a, element by element. Float dtypes, any shape."""

    x: Value
    a: float

    def infer(self) -> TensorType:
        return self.x.type


@lowering("openvino", Snake)
def on_openvino(ctx, op):
    x, a = ctx[op.x], ctx.number(op.a, op.x.type.dtype)
    sine = ctx.opset.sin(ctx.opset.multiply(x, a))
    return ctx.opset.add(x, ctx.opset.divide(ctx.opset.multiply(sine, sine), a))


@lowering("tensorrt", Snake)
def on_tensorrt(ctx, op):
    x, a = ctx[op.x], ctx.scalar(op.a, op.x.type.dtype, op.x.type.rank)
    sine = ctx.unary("SIN", ctx.elementwise("PROD", x, a))
    return ctx.elementwise("SUM", x, ctx.elementwise("DIV", ctx.elementwise("PROD", sine, sine), a))


@hookimpl
def fwd_register_operators(register):
    register.add(Snake)


@hookimpl
def fwd_register_lowerings(register):
    register.add(on_openvino)
    register.add(on_tensorrt)


@hookimpl
def fwd_register_converters(register):
    from fwd_ops_extra.pytorch import snake_to_graph

    register.add(snake_to_graph)
