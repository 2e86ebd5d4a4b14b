#!/usr/bin/env bash
# Keep what a finished study gave: its pages, note, slides and notebook in studies/NAME, its records in studies/records.
#
#   studies/keep.sh NAME [RESULTS [SECONDS]]
#
# RESULTS holds the folders of studies (by default results); SECONDS is about how long the falls of layers may take (none: the
# records are kept as they are, and nothing is explained). `studies/keep.sh --records NAME [RESULTS]` packs the records alone,
# of an unfinished study too: it goes on from there on another machine.
set -euo pipefail
cd "$(dirname "$0")/.."

records_only=false
if [ "${1:-}" = --records ]; then records_only=true; shift; fi
name=${1:?studies/keep.sh NAME [RESULTS [SECONDS]]}
results=$(realpath "${2:-results}")
seconds=${3:-60}
etude=${ETUDE:-etude}

if [ $records_only = false ]; then
    if [ "$seconds" != none ]; then
        "$etude" explain "$name" --results "$results" --all-candidates --part layers --seconds 0
        "$etude" explain "$name" --results "$results" --seconds "$seconds"
    fi
    "$etude" report "$name" --results "$results" --format note --format slides --format notebook
    "$etude" report "$name" --results "$results" --format markdown --to "studies/$name"
    cp "$results/$name"/report/{note.*.pdf,slides.*.pptx,notebook.*.ipynb} "studies/$name/"
fi

# Without what is large and can be made again: weights, states of interrupted runs, masks, pictures of each look, the pages.
mkdir -p studies/records
packed=$(mktemp "studies/records/.$name.XXXXXX")
trap 'rm -f "$packed"' EXIT
tar -C "$results" -cJf "$packed" \
    --exclude='*.safetensors' --exclude='state' --exclude='report' --exclude='masks' --exclude='samples/step-*.png' \
    --exclude='*.lock' --exclude='.*-lock' "$name"
chmod 644 "$packed"
mv "$packed" "studies/records/$name.tar.xz"
