import torch

from fwd_core.ir import Value
from fwd_ops_extra import Snake
from fwd_ops_torch.converting import converts


@torch.library.custom_op("extra::snake", mutates_args=())
def snake(x: torch.Tensor, a: float) -> torch.Tensor:
    return x + torch.sin(a * x) ** 2 / a


snake.register_fake(lambda x, a: torch.empty_like(x))


@converts("extra::snake")
def snake_to_graph(ctx, x: Value, a: float) -> Value:
    """extra::snake(Tensor x, float a) -> Tensor. Float dtypes."""
    return ctx.emit(Snake(x, a))
