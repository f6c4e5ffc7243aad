"""The 136 ATen names that the original Forward converted, by the creator that did it there.

From the Torch part of Tencent's Forward (https://github.com/Tencent/Forward), read in 2026.
"""

from __future__ import annotations

BY_CREATOR = {
    "activation": "relu relu_ sigmoid tanh leaky_relu leaky_relu_ elu selu softplus",
    "clamp": "clamp clamp_ hardtanh hardtanh_",
    "gelu": "gelu",
    "unary": (
        "exp log sqrt reciprocal abs neg sin cos tan sinh cosh asin acos atan asinh acosh atanh "
        "ceil floor erf "
        "exp_ log_ sqrt_ reciprocal_ abs_ neg_ sin_ cos_ tan_ sinh_ cosh_ asin_ acos_ atan_ "
        "asinh_ acosh_ atanh_ ceil_ floor_ erf_"
    ),
    "element_wise": "add add_ mul mul_ sub sub_ rsub div div_ pow floordiv eq gt lt",
    "convolution": "_convolution",
    "linear": "linear addmm",
    "matrix_multiply": "bmm matmul",
    "normalization": "batch_norm instance_norm layer_norm",
    "norm": "norm",
    "pooling": (
        "avg_pool2d avg_pool3d max_pool2d max_pool3d adaptive_avg_pool2d adaptive_avg_pool3d "
        "adaptive_max_pool2d adaptive_max_pool3d"
    ),
    "constant_pad": "constant_pad_nd",
    "reflection_pad": "reflection_pad2d",
    "resize": "upsample_bilinear2d upsample_nearest2d upsample_trilinear3d upsample_nearest3d",
    "grid_sampler": "grid_sampler",
    "prelu": "prelu",
    "reduce": "mean sum max min var std",
    "shuffle": (
        "flatten permute transpose view reshape squeeze unsqueeze unsqueeze_ expand pixel_shuffle"
    ),
    "slice": "slice select",
    "split": "split split_with_sizes chunk",
    "concatenation": "cat stack",
    "repeat": "repeat",
    "index": "index",
    "gather": "embedding",
    "embedding_bag": "embedding_bag",
    "rnn": "lstm gru rnn_tanh rnn_relu",
    "softmax": "softmax",
    "cast": "to",
    "constant": "arange zeros ones",
    "identity": "dropout dropout_ feature_dropout contiguous detach device expand_as",
}
NAMES = [f"aten::{name}" for names in BY_CREATOR.values() for name in names.split()]

#: Those that no converter takes, because they compute no tensor: a script that the importer
#: evaluates, of a float32 input ``x`` of shape (4, 6).
NO_TENSORS = {
    "aten::floordiv": "x[:, : x.shape[1] // 4]",
    "aten::device": "x.to(torch.device(str(x.device)))",
}
