"""What goes wrong has words in both languages, and the page takes the most specific ones."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import etude

ROOT = Path(etude.__file__).parent
PAGE = ROOT / "runtime/serving/page"
WORDS = json.loads((PAGE / "errors.json").read_text("utf-8"))
OF_THE_PAGE = {"unreachable", "status"}
"""Codes of what never reaches the server, or comes from before it."""


def _found(pattern: str, *folders: str) -> set[str]:
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
    return {word for file in files for word in re.findall(pattern, file.read_text("utf-8"))}


def _codes() -> set[str]:
    """Return every code that the runtime refuses with; each is written out where it is given."""
    codes = set()
    for file in sorted((ROOT / "runtime").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("RefusedError"):
                code = node.args[1]
                assert isinstance(code, ast.Constant), f"{file.name}, line {node.lineno}"
                codes.add(str(code.value))
            elif isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                told = {key.value: value for key, value in pairs if isinstance(key, ast.Constant)}
                codes |= {str(code.value) for code in [told.get("code")] if isinstance(code, ast.Constant)}
    return codes


def test_every_code_of_a_refusal_has_words_in_both_languages() -> None:
    codes = _codes()
    assert codes >= {"busy", "late", "rate", "key", "slow", "large", "several", "request", "route", "fault"}
    assert codes >= {"mistake", "missing", "parameter", "form", "type", "picture"}
    for words in WORDS.values():
        assert {f"error_{code}" for code in codes | OF_THE_PAGE} <= words.keys()


def test_every_cause_of_a_picture_that_cannot_be_read_has_words_in_both_languages() -> None:
    causes = _found(r'cause="(\w+)"', "pictures", "runtime")
    for pattern in (
        r'_too_many\(\s*\w+,\s*"(\w+)"',
        r'return "(\w+)", f?"',
        r'cause(?:: str)? = "(\w+)"',
        r'cause = .*else "(\w+)"',
    ):
        causes |= _found(pattern, "pictures")
    listed = "kind empty heic pixels tiles run_lengths scans markers parts damaged depth memory box"
    assert causes >= set(listed.split())
    for words in WORDS.values():
        assert {f"error_picture_{cause}" for cause in causes} <= words.keys()


def test_words_hold_the_same_places_in_both_languages() -> None:
    english, french = WORDS["en"], WORDS["fr"]
    assert english.keys() == french.keys()
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", french[key])), key
        assert not re.search(r"[^\u00a0][!?;%»]|[^\u00a0]:(?!\w)", french[key]), key
        assert not re.search(r"\} (Mo|s|pixels|×)\b|× ", french[key]), key


def test_the_places_of_a_limit_are_facts_that_the_server_gives() -> None:
    given = {
        "busy": "seconds",
        "late": "seconds",
        "rate": "seconds",
        "slow": "seconds",
        "large": "mb",
        "several": "most",
    }
    for words in WORDS.values():
        for code, place in given.items():
            assert re.findall(r"\{(\w+)\}", words[f"error_{code}"]) == [place]
        for cause in ("pixels", "run_lengths"):
            assert set(re.findall(r"\{(\w+)\}", words[f"error_picture_{cause}"])) == {"width", "height", "most"}


SCRIPT = """
const vm = require("vm"), fs = require("fs");
const { shell, words, steps } = JSON.parse(fs.readFileSync(0, "utf-8"));
const told = [], element = { dataset: {}, setAttribute() {} };
const document = {
  documentElement: {}, getElementById: () => ({}), querySelector: () => ({}),
  querySelectorAll: (asked) => (asked === "[data-told]" && element.dataset.told ? [element] : []),
};
const context = vm.createContext({ document, element, told, Intl, fetch: null });
vm.runInContext(shell, context);
vm.runInContext(`words = ${JSON.stringify(words)};`, context);
(async () => {
  for (const step of steps) await vm.runInContext(step, context);
  console.log(JSON.stringify(told));
})();
"""


def _say(*steps: str) -> list[Any]:
    """Run steps in what every page begins with; return what they pushed to `told`."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    own = json.loads((PAGE / "words.json").read_text("utf-8"))
    words = {language: WORDS[language] | own[language] for language in WORDS}
    given = {"shell": (PAGE / "shell.js").read_text("utf-8"), "words": words, "steps": steps}
    done = subprocess.run([node, "-e", SCRIPT], input=json.dumps(given), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_most_specific_word_is_taken_else_the_servers_own() -> None:
    message = "pictures: rex.png must be smaller."
    errors = [
        {"code": "picture", "cause": "heic", "message": message},
        {"code": "picture", "cause": "unheard", "message": message},
        {"code": "picture", "cause": "pixels", "facts": {"width": 9000, "height": 8000, "most": 40_000_000}},
        {"code": "unheard", "cause": "heic", "message": message},
        {"message": message},
    ]
    said = _say(*(f'language = "fr"; told.push(why({json.dumps(error)}))' for error in errors))
    french = WORDS["fr"]
    assert said[:2] == [french["error_picture_heic"], french["error_picture"]]
    assert re.sub(r"\s", " ", said[2]).startswith(
        "L’image est trop grande : 9 000 × 8 000 pixels, alors que 40 000 000"
    )
    assert said[3:] == [message, message]


@pytest.mark.parametrize("code", ["parameter", "form", "type", "mistake"])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_what_the_server_says_exactly_is_told_with_the_phrase(code: str, language: str) -> None:
    message = "seed: Input should be at most {most}; got <b>."
    error = {"code": code, "message": message}
    [said] = _say(f'language = "{language}"; told.push(why({json.dumps(error)}))')
    assert said == WORDS[language][f"error_{code}"].replace("{reason}", message)
    assert said.endswith(message)


def test_what_was_told_of_an_error_follows_a_later_change_of_language() -> None:
    said = _say(
        'const error = failure("no", { code: "large", facts: { most: 20000000, mb: 20 } });'
        'labelPage("en"); tell(element, "failed", { name: "rex.jpg", reason: error }); told.push(element.textContent);'
        'labelPage("fr"); told.push(element.textContent);'
        'hush(element); labelPage("en"); told.push(element.textContent);'
    )
    assert said[0] == "rex.jpg: The request is too large: at most 20 MB are taken."
    assert re.sub(r"\s", " ", said[1]) == "rex.jpg : La requête est trop grande : au plus 20 Mo sont acceptés."
    assert said[2] == ""


def test_what_is_refused_is_thrown_with_its_code_its_cause_and_its_facts() -> None:
    refusal = {"code": "picture", "cause": "memory", "facts": {"most": 3}, "message": "no"}
    answered = (
        "fetch = async () => ({{ ok: false, status: {status}, statusText: 'Bad', headers: {{ get: () => '7' }}, "
        "json: async () => {body} }});"
    )
    thrown = (
        "request('/x').catch((error) => told.push({...causes(error), status: error.status, retryS: error.retryS}));"
    )
    said = _say(
        answered.format(status=503, body=f"({json.dumps({'error': refusal})})") + thrown,
        answered.format(status=502, body="{ throw new SyntaxError('<html>'); }") + thrown,
        "fetch = async () => { throw new TypeError('Failed to fetch'); };" + thrown,
    )
    assert said[0] == {**refusal, "status": 503, "retryS": 7}
    assert (said[1]["code"], said[1]["facts"], said[1]["message"]) == ("status", {"status": 502}, "Bad")
    assert said[2]["code"] == "unreachable"


@pytest.mark.parametrize(
    ("status", "told", "asked"),
    [
        (503, {"code": "busy", "facts": {"seconds": 1}}, 6),
        (429, {"code": "rate", "facts": {"seconds": 1}}, 6),
        (503, {"code": "picture", "cause": "memory"}, 1),
        (422, {"code": "picture", "cause": "pixels"}, 1),
    ],
)
def test_a_busy_server_is_asked_again_but_not_where_memory_is_short(
    status: int, told: dict[str, Any], asked: int
) -> None:
    page = (PAGE / "page.js").read_text("utf-8")
    ask = page[page.index("async function ask(") : page.index("// At the start")]
    answer = (
        f"({{ ok: false, status: {status}, headers: {{ get: () => '1' }}, "
        f"json: async () => ({{ error: {json.dumps(told)} }}) }})"
    )
    said = _say(
        f"let asked = 0; fetch = async () => {{ asked += 1; return {answer}; }};"
        "sessionStorage = { getItem: () => null }; setTimeout = (go) => go();"
        f"document.getElementById = () => ({{ dataset: {{}}, setAttribute() {{}} }});{ask}"
        "ask('/v1/predict').catch((error) => told.push([asked, error.code]))"
    )
    assert said == [[asked, told["code"]]]
