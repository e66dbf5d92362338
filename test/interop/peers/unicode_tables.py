"""Says how the Hugging Face tokenizers library sees Unicode, as one JSON line: which code points each class of its regular
expressions holds, in which surroundings its NFC changes a code point, and what it makes of the strings on standard input."""
import json
import sys
from tokenizers import Regex, normalizers, pre_tokenizers

asked = json.load(sys.stdin)
points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
text = "".join(map(chr, points))


def ranges(pattern):
    """Ranges [from, to) of code points that the pattern matches."""
    out, at = [], 0
    for _, (start, end) in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text):
        if start > at:
            out.append([points[at], points[start - 1] + 1])
        at = end
    if at < len(points):
        out.append([points[at], points[-1] + 1])
    return out


nfc = normalizers.NFC()
changed = {}
for form in asked["contexts"]:
    found = changed[form] = []
    for at in range(0, len(points), 65536):
        chunk = [c for c in points[at:at + 65536] if c >= 0x300]
        lines = [form.replace("X", chr(c)) for c in chunk]
        # Newlines keep the cases apart: nothing composes across them.
        for c, line, result in zip(chunk, lines, nfc.normalize_str("\n".join(lines)).split("\n")):
            if result != line:
                found.append([c, result])
print(json.dumps({
    "classes": {name: ranges(pattern) for name, pattern in asked["classes"].items()},
    "changed": changed,
    "normalized": [nfc.normalize_str(s) for s in asked["strings"]],
}))
