"""Padding removed: tokens of all sequences one after the other, wherever tokens do not meet.

Linear layers, norms and activations work on each token alone, so they are computed for real
tokens only, [tokens, features]; attention and whatever else looks along a sequence gets them back
in their places, [batch, length, features]. Which rows are real is found on the host, from the
padding mask, before each run (as in EffectiveTransformer, by ByteDance).
"""

from fwd_plugins_bert.packing.maker import NAME, packed_rows
from fwd_plugins_bert.packing.option import VariableLength
from fwd_plugins_bert.packing.rewrite import Removal, remove_padding

__all__ = ["NAME", "Removal", "VariableLength", "packed_rows", "remove_padding"]
