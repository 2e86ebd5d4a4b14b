"""What the cells of a study's notebook call: figures as PNG, tables and sentences, from the records beside it."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from etude.figures.theme import WIDE_IN, assign_looks
from etude.report.card_words import tell_card
from etude.report.cards import find_card
from etude.report.drawings import Drawing
from etude.report.explanations import read_explanations, set_out
from etude.report.note import gather
from etude.report.parameters import tabulate_other_parameters, tabulate_parameters
from etude.report.path import tell_path
from etude.report.proposals import tell_proposals
from etude.report.reading import read_study
from etude.report.references import list_references
from etude.report.settings import read_settings
from etude.report.tables import Cell, Column, Table
from etude.report.words import Words

_DPI = 96


class Book:
    """A study's records, ready to be shown in a notebook.

    Args:
        folder: the study's folder.
        language: fr or en.
    """

    def __init__(self, folder: Path | str, language: str) -> None:
        self.words = Words(language)
        self.study = read_study(Path(folder), language)
        self.told = gather(self.study, self.words, name=str)

    def tell(self, *what: str) -> None:
        """Show sentences by the name under which the note has them, such as `answer`."""
        for name in what:
            said = self.told[name]
            items = [said] if isinstance(said, str) else [item if isinstance(item, str) else item[1] for item in said]
            self._list(filter(None, items))

    def table(self, name: str) -> None:
        """Show a table by its name, such as `leaderboard`."""
        show_table(self.told[name])

    def draw(self, name: str) -> None:
        """Show a figure by its name; nothing where the study has none."""
        if self.told[name] is not None:
            show_drawing(self.told[name])
        if name == "curves_drawing":
            looks = assign_looks([row.candidate for row in self.study.record.leaderboard], self.study.record.baseline)
            names = [swatch.name for swatch in self.told["swatches"]]
            _show_html(" ".join(f'<b style="color:{looks[entry].color}">— {html.escape(entry)}</b>' for entry in names))

    def data(self) -> None:
        """Show what is known of the pictures, and how many there are of each class and part."""
        self._list(self.words.say("{name}: {told}", name=name, told=told) for name, told in self.told["data_sheet"])
        show_table(self.told["counts"])
        self._list([self.told["counts_told"]])
        if self.told["pixels"] is not None:
            show_table(self.told["pixels"])
            self._list([self.told["captions"]["pixels"]])

    def findings(self) -> None:
        """Show what the data check found."""
        say, found = self.words.say, self.study.findings
        if found is None:
            self._list([say("The data were not checked for duplicates, leaks or mislabelled pictures.")])
        else:
            self._list([entry.sentence for entry in found] or [say("The data check found nothing amiss.")])

    def networks(self) -> None:
        """Show each network that was explained, layer by layer, and what its kinds of layer do; else how to explain."""
        explanations = read_explanations(self.study.folder, self.study.record)
        if not explanations:
            self._list(
                [
                    self.words.say(
                        "No network of the study was explained yet. `etude explain {study}` explains the best one, layer by layer, "  # noqa: E501
                        "and `etude report {study} --format notebook` then writes this notebook with what was found.",
                        study=self.study.record.name,
                    )
                ]
            )
        shown: list[object] = []
        for explanation in explanations:
            explained = set_out(explanation, self.words)
            network = self._network_of(explanation.ref.candidate)
            if explained.layers is None or network in shown:
                continue
            shown.append(network)
            _show_html(f"<h3>{html.escape(explanation.ref.candidate)}</h3>")
            self._list([*self._introduce(explanation.ref.candidate), *explained.told])
            show_table(explained.layers)
            self._list(explained.lacking)
            _show_html("".join(f"<p>{self._define(name, what)}</p>" for name, what in explained.kinds))
        named = [row.candidate for row in self.study.record.leaderboard if self.study.runs_of(row.candidate)]
        if shown and (left := [name for name in named if self._network_of(name) not in shown]):
            self._list([f"{name}: {told}" for name in left for told in self._introduce(name)])
            self._list(
                [
                    self.words.say(
                        "Not explained here are the networks of {names}: `etude explain {study} --all-candidates --part "  # noqa: E501
                        "layers` does it.",
                        names=self.words.listing(left),
                        study=self.study.record.name,
                    )
                ]
            )

    def _introduce(self, candidate: str) -> list[str]:
        """Return what a candidate's network is, in a sentence; empty where nothing is known of it."""
        model = self.study.runs_of(candidate)[0].config.get("model", {})
        card = find_card(self.study.folder, str(model.get("name", "")))
        if card is None:
            return []
        told = tell_card(card, self.words).sentence
        return [f"{told} {self.words.say('Encoder: {name}.', name=model['encoder'])}" if model.get("encoder") else told]

    def _network_of(self, candidate: str) -> object:
        """Return what a candidate's network is built of, without what its weights start from."""
        runs = self.study.runs_of(candidate)
        model = runs[0].config.get("model") if runs else None
        return {**model, "weights": None, "checkpoint": None} if isinstance(model, dict) else model

    def sights(self) -> None:
        """Show what was explained of the best network that was: what it sees, why it answers, its data, its errors."""
        explained = self.told["explained"]
        for chapter in explained.chapters if explained else ():
            _show_html(f"<h3>{html.escape(chapter.heading)}</h3>")
            self._list(chapter.told)
            for exhibit in chapter.exhibits:
                show_drawing(exhibit.drawing)
                self._list([exhibit.caption])
            for table, _ in chapter.tables:
                show_table(table)

    def generated(self) -> None:
        """Show what each generator draws, its measures beside trivial generators, and whether it copies."""
        told = self.told["generated"]
        if told is None:
            return
        show_drawing(told.samples)
        self._list(
            [
                self.words.say(
                    "Samples of the first run of each candidate, drawn once and not chosen. None is a photograph."
                )
            ]
        )
        self._list(told.plain)
        show_table(told.measures)
        self._list(told.ratios)
        show_table(told.training)
        self._list([told.training_told])
        if told.classes is not None:
            show_table(told.classes)
        show_drawing(told.nearest)
        self._list(
            [
                self.words.say(
                    "Whether it copies: the generated pictures of {candidate} that lie nearest to a training picture, "
                    "above that picture.",
                    candidate=told.candidate,
                )
            ]
        )

    def judged(self) -> None:
        """Show what a detector calls generated pictures; nothing where none was asked."""
        told = self.told["judged"]
        if told is None:
            return
        self._list([told.told])
        show_table(told.table)
        self._list([told.caption, told.caution])

    def published(self) -> None:
        """Show what others published beside the leaderboard; nothing where the study states none of it."""
        told = self.told["published"]
        if told is None:
            return
        self._list([told.told])
        show_table(told.table)

    def transfer(self) -> None:
        """Show what networks with pretrained weights gain over those that start from chance, and their time."""
        told = self.told["transfer"]
        if told is None:
            return
        self._list([told.told, *(sentence for _, sentence in told.sentences)])
        show_table(told.table)

    def combinations(self) -> None:
        """Show what several answers, networks or epochs together gain, and what that costs."""
        told = self.told["combinations"]
        if told is None:
            return
        self._list([told.told, *(sentence for _, sentence in told.sentences)])
        show_table(told.table)
        self._list([told.caption])

    def parameters(self) -> None:
        """Show every training parameter of the reference candidate, explained, and what others have besides."""
        reference = self.told["reference_settings"]
        show_table(tabulate_parameters(reference, self.words))
        others = tabulate_other_parameters(reference, self.told["settings"], self.words)
        if others.rows:
            self._list([self.words.say("What other candidates are trained with besides:")])
            show_table(others)

    def changes(self) -> None:
        """Show what each candidate changes in the reference's configuration."""
        say = self.words.say
        columns = (
            Column(say("candidate"), numeric=False),
            Column(say("field"), numeric=False),
            Column(str(self.told["reference"]), numeric=False),
            Column(say("here"), numeric=False),
        )
        rows = tuple(
            (Cell(name), Cell(change.field), Cell(change.before or "–"), Cell(change.after or "–"))
            for name, changes in self.told["changes"].items()
            for change in changes
        )
        if rows:
            show_table(Table(columns, rows))
        else:
            self._list([say("No candidate changes any of it.")])

    def ablations(self) -> None:
        """Show each ablation: what was varied, what was shown, drawn and set out."""
        if self.told["ablation_correction"]:
            self._list([self.told["ablation_correction"]])
        for ablation in self.told["ablations"]:
            _show_html(f"<h3>{html.escape(ablation.title)}</h3>")
            told = [ablation.gap, *(sentence for _, sentence in ablation.sentences)]
            self._list(filter(None, told))
            show_drawing(ablation.drawing)
            if ablation.influence is not None:
                show_drawing(ablation.influence)
            show_table(ablation.table)
        if not self.told["ablations"]:
            self._list([self.words.say("The study holds none.")])

    def searches(self) -> None:
        """Show each search: its cost beside its gain, what was found, and how its trials went."""
        say = self.words.say
        for search in self.told["searches"]:
            summary = search.summary
            title = say("{candidate}, searched from {baseline}", candidate=summary.candidate, baseline=summary.of)
            _show_html(f"<h3>{html.escape(title)}</h3>")
            self._list([search.cost, *([search.gain[1]] if search.gain else [])])
            show_table(search.settings)
            self._list([say("The fields that were searched, and what was found.")])
            for drawing, caption in search.drawings:
                show_drawing(drawing)
                self._list([caption])

    def errors(self) -> None:
        """Show what the final candidate takes for what, and of a segmentation its masks; else that nothing is known."""
        if not any(self.told[name] for name in ("masks", "errors", "detectors")):
            self._list([self.words.say("There are no predictions to look at: no run has left any here.")])
        self._exhibits("masks", ("drawing", "classes", "categories", "curves"))
        self._exhibits("errors", ("drawing", "pairs"))
        self._exhibits("errors_of_baseline", ("drawing", "pairs"))
        self._exhibits("detectors", ("drawing", "table"))

    def _exhibits(self, part: str, names: Iterable[str]) -> None:
        """Show the drawings and tables of a part that it has, each with what is said below it."""
        shown, captions = self.told[part], self.told["captions"][part]
        if shown is None:
            return
        self._list([captions["told"]])
        for name in names:
            exhibit = getattr(shown, name)
            if isinstance(exhibit, Table) and exhibit.rows:
                show_table(exhibit)
            elif isinstance(exhibit, Drawing):
                show_drawing(exhibit)
            else:
                continue
            self._list([captions[name]])

    def robustness(self) -> None:
        """Show how much worse pictures lower the score; nothing where that was not measured."""
        self._exhibits("robustness", ("table",))
        if self.told["robustness"] is not None:
            self._list(self.told["robustness"].sentences)

    def limits(self) -> None:
        """Show what the study does not show, what failed, and what was recorded along the way."""
        self._list(self.told["limits"])
        for candidate, pieces in self.told["failures"]:
            failed = self.words.say("A run of {candidate} failed:", candidate=candidate)
            why = "".join(_in_english(piece.text, piece.is_quoted) for piece in pieces)
            _show_html(f"<p>{html.escape(failed)} {why}</p>")
        for note, names, is_english in self.told["notes"]:
            of = f" ({self.words.listing(names)})" if names else ""
            _show_html(f"<p>{_in_english(note, is_english)}{html.escape(of)}</p>")

    def path(self) -> None:
        """Show every trial and every run in order, pruned and failed ones too, with what each decided."""
        say = self.words.say
        columns = (Column("#"), Column(say("run"), numeric=False), Column(say("what came of it"), numeric=False))
        told = tell_path(self.study, self.words, self.told["metric"])
        show_table(
            Table(columns, tuple((Cell(str(n)), Cell(label), Cell(said)) for n, (label, said) in enumerate(told, 1)))
        )

    def proposals(self) -> None:
        """Show what to try next."""
        told = tell_proposals(self.study, self.words, self.told["metric"])
        self._list(told or [self.words.say("The records suggest nothing.")])

    def references(self) -> None:
        """Show what the study stands on."""
        self._list(list_references(self.study, read_settings(self.study), self.words))

    def machine(self) -> None:
        """Show on what the runs were made, with which versions."""
        versions = ", ".join(f"{name} {version}" for name, version in self.told["versions"].items())
        took = self.words.say("{time} in all", time=self.words.duration(self.study.record.seconds))
        self._list([*self.told["devices"], versions, took])

    def _define(self, name: str, what: str) -> str:
        """Return a name and what it is for a page, the name set off."""
        return self.words.say("{name}: {told}", name=f"<b>{html.escape(name)}</b>", told=html.escape(what))

    def _list(self, items: Iterable[str]) -> None:
        _show_html("".join(f"<p>{html.escape(item)}</p>" for item in items))


def show_drawing(drawing: Drawing) -> None:
    """Show a figure as PNG."""
    from IPython.display import Image, display

    display(Image(drawing.png(WIDE_IN, _DPI), alt=drawing.label))


def show_table(table: Table) -> None:
    """Show a table."""
    heads = "".join(
        f'<th style="text-align:{_side(column)}">{html.escape(column.heading)}</th>' for column in table.columns
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{_side(c)}">{_text_of(cell)}</td>'
            for c, cell in zip(table.columns, row, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    _show_html(
        f"<div style='overflow-x:auto'><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _text_of(cell: Cell) -> str:
    text = html.escape(cell.text)
    return f'<a href="{html.escape(cell.link)}">{text}</a>' if cell.link else text


def _in_english(text: str, is_english: bool) -> str:
    """Return a text for a page, marked where it is English in whatever report."""
    return f'<span lang="en">{html.escape(text)}</span>' if is_english else html.escape(text)


def _side(column: Column) -> str:
    return "right" if column.numeric else "left"


def _show_html(text: str) -> None:
    from IPython.display import HTML, display

    shown: Any = HTML(text)
    display(shown)
