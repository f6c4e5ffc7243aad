"""Families of operators that no graph of fixed operators can hold, with why and a way round."""

from __future__ import annotations

_MATRICES = (
    "it factors or inverts matrices, which neither backend has an operator for",
    "compute it before the model, and keep the result as a buffer or pass it as an input",
)
_FACTORED = (
    "cholesky", "cholesky_inverse", "cholesky_solve", "det", "geqrf", "inverse", "linalg_cholesky",
    "linalg_cholesky_ex", "linalg_cond", "linalg_det", "linalg_eig", "linalg_eigh",
    "linalg_eigvals", "linalg_eigvalsh", "linalg_householder_product", "linalg_inv",
    "linalg_inv_ex", "linalg_ldl_factor", "linalg_ldl_factor_ex", "linalg_ldl_solve",
    "linalg_lstsq", "linalg_lu", "linalg_lu_factor", "linalg_lu_factor_ex", "linalg_lu_solve",
    "linalg_matrix_exp", "linalg_matrix_rank", "linalg_pinv", "linalg_qr", "linalg_slogdet",
    "linalg_solve", "linalg_solve_ex", "linalg_solve_triangular", "linalg_svd", "linalg_svdvals",
    "linalg_tensorinv", "linalg_tensorsolve", "logdet", "lu_solve", "lu_unpack", "matrix_exp",
    "nuclear_norm", "orgqr", "ormqr", "pinverse", "qr", "slogdet", "svd", "triangular_solve",
    "_linalg_det", "_linalg_eigh", "_linalg_slogdet", "_linalg_solve_ex", "_linalg_svd",
    "_lu_with_info",
)  # fmt: skip
_NESTED = (
    "it makes or takes nested tensors, whose parts have sizes of their own",
    "make the encoder with enable_nested_tensor=False, or set encoder.use_nested_tensor = False",
)
_OF_NESTED = (
    "_nested_tensor_from_mask", "_nested_tensor_from_mask_left_aligned", "_nested_from_padded",
    "_nested_from_padded_and_nested_example", "_nested_tensor_from_tensor_list",
    "_nested_tensor_size", "_nested_tensor_softmax_with_shape", "nested_to_padded_tensor",
    "to_padded_tensor",
)  # fmt: skip
_RENORM = (
    "max_norm scales rows of the weight in the weight itself, and an engine keeps no state",
    "scale all rows once before the export, layer.weight.data = layer.weight.data.renorm("
    "layer.norm_type, 0, layer.max_norm), and set layer.max_norm = None",
)

QUANTIZED = (
    "it was quantized, and what it computes with is packed for one kind of machine",
    "convert the float model, from before it was quantized: engines are quantized by Forward's "
    "own modes",
)
PACKED = (
    "packed sequences have sizes that depend on data",
    "hand over padded sequences: call the recurrent layer with them, and mask its results by "
    "their lengths",
)
GROUPED = (
    "which expert takes how many rows depends on data",
    'call model.set_experts_implementation("batched_mm") before it is exported or traced',
)
_MEMORY = (
    "it asks how a tensor lies in memory, as as_strided needs it, and a tensor of a dynamic size "
    "may lie otherwise in an engine",
    "write as_strided as reshape, narrow, select or unfold, or build those sizes static",
)


def of_other_packages(name: str) -> tuple[str, str] | None:
    """Why an operator that torch or another package adds is refused, and what to do."""
    namespace, _, operator = name.partition("::")
    if namespace in ("quantized", "_quantized"):
        return QUANTIZED
    return GROUPED if "grouped_mm" in operator else None


FAMILIES = {
    "aten::sym_stride": _MEMORY,
    "aten::sym_storage_offset": _MEMORY,
    "aten::embedding_renorm": _RENORM,
    "aten::embedding_renorm_": _RENORM,
    **{f"aten::{name}": _MATRICES for name in _FACTORED},
    **{f"aten::{name}": _NESTED for name in _OF_NESTED},
}
