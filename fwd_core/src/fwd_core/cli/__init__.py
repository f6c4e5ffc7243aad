"""The program ``fwd``. Each subcommand is a module that registers by the hook for commands.

A command's result goes to standard output; progress, warnings and errors go to standard error.
With ``--json`` a command writes exactly one JSON document to standard output. If it fails, that
document holds ``error`` (``kind``, ``text``, ``what``, ``where``, ``expected``, ``got``,
``details``, ``hint`` and, for models that cannot be converted, ``problems``) and ``exit_code``. For
a command line that is malformed ``kind`` is ``UsageError``.

What ``--input`` takes:

- ``1x3x224x224``: values are made up, of dtype float32
- ``ids=1x128:int64``: with the input's name and a dtype; all inputs have names, or none
- ``length=scalar:int64``: a tensor without axes
- ``x=batch[1,4,8]x3x224x224``: a size from 1 to 8, tuned for 4; sizes of one name are equal
- ``x=@x.npy``: values of a file; of a ``.npz`` the array of that name, or the only one
- ``@inputs.npz``: all inputs, by their names

Dtypes are bool, uint8, int8, int16, int32, int64, float16, bfloat16, float32 and float64.
"""
