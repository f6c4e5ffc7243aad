"""Int8: ranges of tensors, where numbers of 8 bits are put, and the files that hold ranges."""
