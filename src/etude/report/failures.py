"""Why a run or a trial failed, in the language of the report; what is not ours is set apart as a quotation.

A record keeps the sentence of the error, in English. Here each kind of failure of a training is known by its pattern.
What an exception of another library or of a user's network says stands in the place `{error}`, and stays as it is, as
does the whole of a sentence that is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

from etude.report.messages import mark, mark_count
from etude.report.recorded import find_pattern, say_pattern
from etude.report.words import Words

FAILURES = (
    mark(
        "train: the loss of {label} is no longer a number in epoch {epoch}, at learning rate {lr}. Lower "
        "train.optimizer.lr, or set train.clip_norm (1.0, say) or train.precision: fp32."
    ),
    mark(
        "train: a loss of {label} is no longer a number at step {step}. Lower train.optimizer.lr, set train.clip_norm "
        "(10, say), train.adversarial.r1 or train.precision: fp32."
    ),
    mark(
        "search: {candidate} must have a validation score. Got {score}. Give data.split.validation pictures, and a "
        "network that is trained by steps."
    ),
    mark_count(
        "model cnn: size_px must be at least {least} for {n} block. Got {side}. Give larger pictures "
        "(prepare.size_px), at most {most} blocks, or pool: stride.",
        "model cnn: size_px must be at least {least} for {n} blocks. Got {side}. Give larger pictures "
        "(prepare.size_px), at most {most} blocks, or pool: stride.",
    ),
    mark_count(
        "model airnet: size_px must be at least {least} for {n} group. Got {side}. Give larger pictures "
        "(prepare.size_px) or fewer widths.",
        "model airnet: size_px must be at least {least} for {n} groups. Got {side}. Give larger pictures "
        "(prepare.size_px) or fewer widths.",
    ),
    mark(
        "model {name}: prepare.size_px must be a square of 8, 16, 32, 64, 128, 256 or 512 px. Got {size}. Give "
        "size_px: 64."
    ),
    mark("model: drop_blocks must be left out for {name}: timm cannot cut this network."),
    mark("model: drop_blocks must be less than {levels}, the blocks of {name}. Got {count}."),
    mark("finetune: blocks must be at most {most}, the blocks of {name}. Got {count}. Give fewer, or finetune: all."),
    mark_count(
        "model {name}: cannot be built for {n} output and pictures of {size} px ({error}).",
        "model {name}: cannot be built for {n} outputs and pictures of {size} px ({error}).",
    ),
    mark(
        "model {name}: must accept pictures of {size} px. It gave {error}. Give another prepare.size_px, or other "
        "parameters."
    ),
    mark(
        "model {name}: output must be logits of shape {shape} for a batch of 2 pictures. Got {given}. Its constructor "
        "may take the number of outputs as `n_outputs`; here it is {outputs}."
    ),
    mark("model {name}: output must be logits of shape {shape} for a batch of 2 pictures. Got {given}."),
    mark("model: {path}: fails when it is run ({error})."),
    mark("model {name}: fails when it is built ({error})."),
)
"""Every way in which a training fails that could be begun; of two that fit, the first is meant."""

_ERROR = "\0"  # no text holds it


@dataclass(frozen=True)
class Piece:
    """A part of what is told of a failure."""

    text: str
    is_quoted: bool = False
    """Whether it is what an exception said, in its own words."""


def tell_failure(sentence: str, words: Words) -> tuple[Piece, ...]:
    """Tell why a run failed, in pieces, so that each format sets quotations apart in its own way.

    Args:
        sentence: the sentence of the error, as the record keeps it.
        words: the language.
    """
    found = find_pattern(sentence, FAILURES)
    if found is not None:
        pattern, places = found
        told, quoted = say_pattern(pattern, places | {"error": _ERROR}, words), places.get("error", "")
    elif words.language == "en":
        told, quoted = sentence, ""
    else:
        told, quoted = words.say("the error says, in English, {error}", error=_ERROR), sentence
    before, _, after = told.partition(_ERROR)
    pieces = (Piece(before), Piece(quoted, is_quoted=True), Piece(after))
    return tuple(piece for piece in pieces if piece.text)


def write_failure(sentence: str, words: Words) -> str:
    """Write why a run failed as plain text, quotations in the marks of the language."""
    return join_pieces(tell_failure(sentence, words), words)


def join_pieces(pieces: tuple[Piece, ...], words: Words) -> str:
    """Write pieces as plain text, quotations in the marks of the language."""
    return "".join(
        words.say("\N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}", text=piece.text)
        if piece.is_quoted
        else piece.text
        for piece in pieces
    )
