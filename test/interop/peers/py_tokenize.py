"""Encodes a JSON array of strings with the Hugging Face tokenizers library: py_tokenize.py tokenizer.json < strings.json"""
import json
import sys
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
strings = json.load(sys.stdin)
json.dump([tokenizer.encode(s, add_special_tokens=False).ids for s in strings], sys.stdout)
