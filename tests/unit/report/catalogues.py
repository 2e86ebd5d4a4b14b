"""Bring the catalogues in line with the code: `just messages FILE`.

FILE is JSON, {message: French} or {"one|||many": [French of one, of many]}; a message in a context is "context\\u0004message".
Messages that the code has and the catalogues lack are added, those that it has no longer are dropped; what then still lacks
a translation is printed, as the JSON to fill in.
"""

import json
import sys
from io import BytesIO
from pathlib import Path

from babel.messages.pofile import read_po
from tests.unit.report.test_messages import ROOM, extract, keyed


def bring(language: str, french: dict[str, str | list[str]]) -> list[str]:
    path = ROOM / "locale" / language / "LC_MESSAGES" / "etude.po"
    head, *blocks = path.read_text(encoding="utf-8").rstrip("\n").split("\n\n")
    wanted = extract()
    kept = [block for block in blocks if key_of(block) in wanted]
    known = {key_of(block) for block in kept}
    missing = []
    for key in sorted(wanted - known, key=str):
        name = key if isinstance(key, str) else "|||".join(key)
        if name not in french:
            missing.append(name)
            continue
        given = french[name] if language == "fr" else (key if isinstance(key, str) else list(key))
        kept.append(entry(key, given))
    path.write_text("\n\n".join([head, *kept]) + "\n", encoding="utf-8")
    return missing


def key_of(block: str) -> object:
    message = next(entry for entry in read_po(BytesIO(block.encode())) if entry.id)
    return keyed(message.id, message.context)


def entry(key: str | tuple[str, str], given: str | list[str]) -> str:
    first = key if isinstance(key, str) else key[0]
    context, _, own = first.rpartition("\4")
    lines = ["#, python-brace-format"] if "{" in first else []
    lines += [f"msgctxt {quoted(context)}"] if context else []
    lines += [f"msgid {quoted(own)}"]
    if isinstance(key, str):
        return "\n".join([*lines, f"msgstr {quoted(str(given))}"])
    forms = [f"msgstr[{place}] {quoted(form)}" for place, form in enumerate(given)]
    return "\n".join([*lines, f"msgid_plural {quoted(key[1])}", *forms])


def quoted(text: str) -> str:
    """Write a text as gettext does, in lines of about 110 characters."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    if len(escaped) <= 100:
        return f'"{escaped}"'
    lines = [""]
    for word in escaped.split(" "):
        if len(lines[-1]) + len(word) > 110:
            lines.append("")
        lines[-1] += word + " "
    lines[-1] = lines[-1][:-1]
    return '""\n' + "\n".join(f'"{line}"' for line in lines)


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")) if len(sys.argv) > 1 else {}
    lacking = {language: bring(language, told) for language in ("en", "fr")}
    if lacking["fr"]:
        print(json.dumps(dict.fromkeys(lacking["fr"], ""), ensure_ascii=False, indent=1))
