"""Trains small tokenizers that are no byte-level BPE, and encodes and decodes with each.

A JSON array of strings on stdin; on stdout {name: {"json": tokenizer.json, "ids": [...], "texts": [...], "pieces": [...]}},
where pieces are what a DecodeStream gave for each id, or null where it failed.
"""
import json
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.decoders import DecodeStream

strings = json.load(sys.stdin)
corpus = [
    "the quick brown fox jumps over the lazy dog and the dog does not mind at all",
    "Ein Wörterbuch ist ein Nachschlagewerk, das Wörter in alphabetischer Reihenfolge enthält.",
    "日本語の文章もここにあります。世界は広い。",
    "def encode(text: str) -> list[int]: return [ord(c) for c in text]  # 0123456789",
    "hello world, hello  double   spaces\nand lines\tand tabs",
] * 30
alphabet = sorted({c for line in corpus for c in line})


def bytes_of():
    return [f"<0x{i:02X}>" for i in range(256)]


def trained_bpe(normalizer, pre, decoder, special, byte_fallback=True):
    plain = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    plain.normalizer, plain.pre_tokenizer = normalizer, pre
    plain.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=700, special_tokens=[*special, *bytes_of()], initial_alphabet=["▁"]))
    made = json.loads(plain.to_str())
    made["model"]["byte_fallback"] = byte_fallback
    made["added_tokens"] = [token for token in made["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(made))
    tokenizer.decoder = decoder
    return tokenizer


def gemma():
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return trained_bpe(normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), decoder, ["<pad>", "<eos>", "<bos>", "<unk>"])


def llama2():
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return trained_bpe(normalizer, None, decoder, ["<unk>", "<s>", "</s>"])


def mistral():
    pre = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return trained_bpe(None, pre, decoder, ["<unk>", "<s>", "</s>"])


def t5():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(corpus, trainers.UnigramTrainer(vocab_size=300, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>"))
    return tokenizer


def bert():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"]))
    return tokenizer


def pieces(tokenizer, ids):
    stream, result = DecodeStream(skip_special_tokens=True), []
    try:
        for id in ids:
            result.append(stream.step(tokenizer, id) or "")
    except Exception:
        return None
    return result


answer = {}
for make in (gemma, llama2, mistral, t5, bert):
    tokenizer = make()
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in strings]
    answer[make.__name__] = {
        "json": json.loads(tokenizer.to_str()),
        "ids": ids,
        "texts": [tokenizer.decode(some, skip_special_tokens=True) for some in ids],
        "pieces": [pieces(tokenizer, some) for some in ids],
    }
json.dump(answer, sys.stdout)
