"""Trains the small tokenizer of tools/cli/model on this repository's own pages and comments.

Run from the repository's root with any Python that has `tokenizers` (0.23.3 was used), for instance that of test/interop.
Then format the result with `npm run format`. It is committed: nobody needs to run this to use the command.
"""

import json
import re
import subprocess
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

MERGES = 2_000
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CONTEXT = 32_768
TEMPLATE = (
    "{%- for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' }}"
    "{% if message.content is string %}{{ message.content }}"
    "{%- elif message.content %}{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
    "{%- endif %}"
    "{{ '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

root = Path(__file__).resolve().parents[2]
target = Path(__file__).resolve().parent / "model"


def corpus():
    """Whole pages, and of sources the comments: prose gives merges that read well when they stream."""
    names = subprocess.run(["git", "ls-files", "*.md", "*.ts"], cwd=root, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in sorted(filter(None, names)):
        text = (root / name).read_text(encoding="utf-8")
        if name.endswith(".md"):
            yield text
        else:
            yield "\n".join(re.findall(r"^\s*(?://|/\*\*|\*)\s?(.+)$", text, re.MULTILINE))


def write(name, value):
    (target / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


alphabet = pre_tokenizers.ByteLevel.alphabet()
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + MERGES, initial_alphabet=sorted(alphabet), show_progress=False, special_tokens=[])
tokenizer.train_from_iterator(corpus(), trainer)
tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])

target.mkdir(exist_ok=True)
tokenizer.save(str(target / "tokenizer.json"), pretty=False)
end_of_text, start, end = (tokenizer.token_to_id(token) for token in SPECIAL)
write(
    "config.json",
    {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "max_position_embeddings": CONTEXT,
        "vocab_size": tokenizer.get_vocab_size(),
        "bos_token_id": end_of_text,
        "eos_token_id": end,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "torch_dtype": "bfloat16",
    },
)
write("generation_config.json", {"eos_token_id": [end, end_of_text], "bos_token_id": end_of_text})
write(
    "tokenizer_config.json",
    {
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "model_max_length": CONTEXT,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    },
)
print(f"{tokenizer.get_vocab_size()} tokens, {(target / 'tokenizer.json').stat().st_size} bytes")
