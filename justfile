# The one list of commands; pre-commit and CI call these.
uv := env("UV", "uv")
run := uv + " run --frozen --all-extras"

# Everything that CI checks
check: lint types floors test

# Style and formatting
lint:
    {{run}} ruff check .
    {{run}} ruff format --check .

# Mend what ruff can mend
fix:
    {{run}} ruff check --fix .
    {{run}} ruff format .

# The strict type checker
types:
    {{run}} mypy

# The floors of the house
floors:
    {{run}} lint-imports

# All tests
[positional-arguments]
test *args:
    {{run}} pytest "$@"

# The tests that take a second or less each
[positional-arguments]
quick *args:
    {{run}} pytest -m "not slow and not browser" "$@"

# Messages of reports: add those of FILE to the catalogues, drop what the code has no longer, print what is still missing
messages *file:
    {{run}} python -m tests.unit.report.catalogues {{file}}

# All benchmarks; each prints its figures as JSON
bench:
    for file in benchmarks/*.py; do {{run}} python "$file"; done

# The commands of the README and of docs/
docs:
    {{run}} pytest tests/docs
