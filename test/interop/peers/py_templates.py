"""Renders chat templates as transformers does: {"templates": {name: text}, "cases": [variables]} on stdin, {name: [text or null]} on stdout."""
import json
import sys
import warnings

warnings.filterwarnings("ignore")
from transformers.utils.chat_template_utils import _compile_jinja_template

asked = json.load(sys.stdin)
answer = {}
for name, text in asked["templates"].items():
    rendered = []
    try:
        template = _compile_jinja_template(text)
    except Exception as error:
        answer[name] = str(error)
        continue
    for variables in asked["cases"]:
        try:
            rendered.append({"text": template.render(**variables)})
        except Exception as error:
            rendered.append({"error": f"{type(error).__name__}: {error}"})
    answer[name] = rendered
json.dump(answer, sys.stdout)
