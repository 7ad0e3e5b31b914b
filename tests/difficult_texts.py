"""Texts that readers of vocabularies disagree on first."""

PLAIN = (
    "",
    "The animal ran across the field.",
    "a  b   c",
    "caf\u00e9, cafe\u0301, \ufb01eld, A, \u00bd",
    "\u6771\u4eac \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "\u0939\u093f\u0928\u094d\u0926\u0940 \ud55c\uad6d\uc5b4 \U0001f600",
    "tab\tnewline\nno-break\u00a0zero-width\u200bline\u2028end",
    "nul\x00 bell\x07 delete\x7f",
)
SHARED = (*PLAIN, "   ", "  two  spaces ", "I like <extra_id_0> and <extra_id_99> .", "<extra_id_3> <extra_id_3>")
APART = (  # which `transformers` cuts otherwise than SentencePiece and seqio do
    "a block \u2581 b \ufffd",
    "I like <extra_id_0> and <extra_id_99>.",
    "jel<extra_id_3>ly <extra_id_100>",
)
TEXTS = (*SHARED, *APART)
