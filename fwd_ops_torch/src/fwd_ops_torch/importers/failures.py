"""The error to raise for one that ended an import: with everything else that was found."""

from __future__ import annotations

from collections.abc import Callable

from fwd_core.errors import ConversionError, ForwardError, InputError, UnsupportedModelError
from fwd_ops_torch.importers.session import Session


def failure(
    session: Session, error: Exception, scan: Callable[[], None] | None = None
) -> Exception:
    """The error to raise.

    Args:
        session: The import.
        error: What ended it: an error of ours, or the note that the import cannot go on.
        scan: Looks at the part of the program that was not reached.

    Returns:
        An error that lists all problems, with what ended the import among them; or that itself, if
        there is nothing else to tell.
    """
    if isinstance(error, InputError):
        return error
    problems = session.problems
    is_new = isinstance(error, ForwardError) and not (
        isinstance(error, UnsupportedModelError) and error.problems
    )
    if is_new:
        assert isinstance(error, ForwardError)
        problems.add_error(error)
    if scan is not None:
        scan()
    if is_new and len(problems.listed()) == 1:
        return error
    if problems:
        return problems.error()
    return ConversionError("the import cannot go on", details=[str(error.__cause__ or error)])
