"""What scripts that calibrate BERT import: SQuAD files, BERT's tokenizer, and its windows.

Nothing is imported here; scripts import :mod:`bert_helpers.data_preprocessing` and
:mod:`bert_helpers.tokenization`.
"""
