"""What the cells of a study's notebook call: figures as PNG, tables and sentences, from the records beside it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from etude.core.study_record import RunRef
from etude.figures.theme import assign_looks
from etude.report.captions import caption_results
from etude.report.card_words import tell_card
from etude.report.cards import find_card
from etude.report.drawings import Drawing
from etude.report.explanations import Explained, read_explanations, set_out
from etude.report.legends import line_of
from etude.report.note import gather
from etude.report.parameters import tabulate_other_parameters, tabulate_parameters
from etude.report.path import tell_path
from etude.report.proposals import tell_proposals
from etude.report.reading import read_results
from etude.report.references import list_references
from etude.report.same_networks import has_layers, list_trained, network_of, pick_networks, tell_falls_of
from etude.report.settings import read_settings
from etude.report.showing import mark_english, show_drawing, show_html, write_table
from etude.report.tables import Cell, Column, Table, tell_columns


class Book:
    """A study's records, ready to be shown in a notebook.

    Args:
        folder: the study's folder.
        language: fr or en.
    """

    def __init__(self, folder: Path | str, language: str) -> None:
        self.study, self.words = read_results(Path(folder), language)
        self.told = gather(self.study, self.words, name=str)

    def tell(self, *what: str) -> None:
        """Show sentences by the name under which the note has them, such as `answer`."""
        for name in what:
            said = self.told[name]
            items = [said] if isinstance(said, str) else [item if isinstance(item, str) else item[1] for item in said]
            self._list(filter(None, items))

    def table(self, name: str) -> None:
        """Show a table by its name, such as `leaderboard`, with what the note says of it."""
        self._table(self.told[name], self._captions().get(name, ""))

    def draw(self, name: str) -> None:
        """Show a figure by its name, with what the note says below it; nothing where the study has none."""
        if self.told[name] is not None:
            self._draw(self.told[name], self._captions().get(name, ""))
        if name == "curves_drawing":
            looks = assign_looks([row.candidate for row in self.study.record.leaderboard], self.study.record.baseline)
            shown = {swatch.name: looks[swatch.name] for swatch in self.told["swatches"]}
            show_html(
                " ".join(
                    f'<b style="color:{look.color}">{line_of(look)} {html.escape(name)}</b>'
                    for name, look in shown.items()
                )
            )

    def data(self) -> None:
        """Show what is known of the pictures, and how many there are of each class and part."""
        self._list(self.words.say("{name}: {told}", name=name, told=told) for name, told in self.told["data_sheet"])
        self._table(self.told["counts"], self.told["counts_told"])
        if self.told["pixels"] is not None:
            self._table(self.told["pixels"], self.told["captions"]["pixels"])

    def findings(self) -> None:
        """Show what the data check found."""
        say, found = self.words.say, self.study.findings
        if found is None:
            self._list([say("The data were not checked for duplicates, leaks or mislabelled pictures.")])
        else:
            self._list([entry.sentence for entry in found] or [say("The data check found nothing amiss.")])

    def networks(self) -> None:
        """Show each network that was explained, layer by layer, and what its kinds of layer do; else how to explain."""
        explanations = read_explanations(self.study)
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
        shown = pick_networks(self.study, explanations)
        self._list(tell_falls_of([source for _, source in shown], self.words))
        known = set[str]()
        for name, source in shown:
            explained = set_out(source, self.study, self.words)
            if explained.layers is None:
                continue
            show_html(f"<h3>{html.escape(name)}</h3>")
            whose = [] if source.ref.candidate == name else [self._tell_ref(source.ref)]
            self._list([*self._name_alike(name), *self._introduce(name), *whose, *explained.told])
            self._table(explained.layers, explained.layers_caption)
            self._list(explained.lacking)
            if explained.discriminator is not None:
                show_html(f"<h4>{html.escape(explained.discriminator.heading)}</h4>")
                self._list(explained.discriminator.told)
                for table, told in explained.discriminator.tables:
                    self._table(table, told)
            kinds = [(kind, what) for kind, what in explained.kinds if kind not in known]
            known.update(kind for kind, _ in kinds)
            show_html("".join(f"<p>{self._define(kind, what)}</p>" for kind, what in kinds))
        if shown:
            self._tell_not_explained([network_of(self.study, name) for name, _ in shown])

    def _tell_not_explained(self, shown: Sequence[object]) -> None:
        """Say what the other networks are, and how to explain those that have layers."""
        left = [name for name in list_trained(self.study) if network_of(self.study, name) not in shown]
        self._list([f"{name}: {told}" for name in left for told in self._introduce(name)])
        if names := [name for name in left if has_layers(self.study, name)]:
            self._list(
                [
                    self.words.say_count(
                        "Not explained here is the network of {names}: `etude explain {study} --all-candidates --part "
                        "layers` does it.",
                        "Not explained here are the networks of {names}: `etude explain {study} --all-candidates --part "  # noqa: E501
                        "layers` does it.",
                        len(names),
                        names=self.words.listing(names),
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

    def _name_alike(self, candidate: str) -> list[str]:
        """Say which other candidates have a candidate's network; empty where none has."""
        network = network_of(self.study, candidate)
        names = [name for name in list_trained(self.study) if name != candidate]
        alike = [name for name in names if network_of(self.study, name) == network]
        return [self.words.say("The same network: {names}.", names=self.words.listing(alike))] if alike else []

    def sights(self) -> None:
        """Show what was explained of the best network that was: what it sees, why it answers, its data, its errors."""
        explained = self.told["explained"]
        if explained is None or not explained.chapters:
            return
        self._list(self._tell_whose(explained))
        for chapter in explained.chapters:
            show_html(f"<h3>{html.escape(chapter.heading)}</h3>")
            self._list(chapter.told)
            for exhibit in chapter.exhibits:
                self._draw(exhibit.drawing, exhibit.caption)
            for table, caption in chapter.tables:
                self._table(table, caption)

    def _tell_whose(self, explained: Explained) -> list[str]:
        """Say of which run an explanation is, and where it is not of the final candidate, that one of it is missing."""
        whose = self._tell_ref(explained.source.ref)
        is_told_later = explained.layers is None  # then the first chapter opens with it, else the layers
        return [whose] if explained.source.is_of_final or is_told_later else [whose, explained.told[0]]

    def _tell_ref(self, ref: RunRef) -> str:
        """Say of which run something is."""
        places = {"candidate": ref.candidate, "seed": ref.seed, "fold": ref.fold}
        if ref.fold is None:
            return self.words.say("What follows is of {candidate}, run of seed {seed}.", **places)
        return self.words.say("What follows is of {candidate}, run of seed {seed}, fold {fold}.", **places)

    def generated(self) -> None:
        """Show what each generator draws, its measures beside trivial generators, and whether it copies."""
        told = self.told["generated"]
        if told is None:
            return
        say = self.words.say
        self._draw(
            told.samples,
            say("Samples of the first run of each candidate, drawn once and not chosen. None is a photograph."),
        )
        self._list(told.plain)
        self._table(
            told.measures,
            say(
                "Candidates, mean of their runs, beside what everyone could do; in brackets 95% intervals over the held-out pictures, "  # noqa: E501
                "where there is an honest one. KID and FID: lower is better; density, coverage and diversity: higher. FID and coverage "  # noqa: E501
                "compare only between equal numbers of pictures. Near copies: 5% is what fresh photographs show on average."  # noqa: E501
            ),
        )
        self._list(told.ratios)
        self._table(told.training, told.training_told)
        if told.classes is not None:
            caption = say(
                "Each class that a conditional generator was asked for, against held-out photographs of that class, mean of the runs; in brackets means of the ends of their 95% intervals."  # noqa: E501
            )
            self._table(told.classes, caption)
        for candidate, drawing in told.nearest:
            caption = say(
                "Whether it copies: the generated pictures of {candidate} that lie nearest to a training picture, "
                "above that picture.",
                candidate=candidate,
            )
            self._draw(drawing, caption)

    def judged(self) -> None:
        """Show what a detector calls generated pictures; nothing where none was asked."""
        told = self.told["judged"]
        if told is None:
            return
        self._list([told.told, *told.plain])
        self._table(told.table, told.caption)
        self._list([told.caution])

    def published(self) -> None:
        """Show what others published beside the leaderboard; nothing where the study states none of it."""
        told = self.told["published"]
        if told is None:
            return
        self._list([told.told])
        self._table(told.table, told.caption)

    def transfer(self) -> None:
        """Show what networks with pretrained weights gain over those that start from chance, and their time."""
        told = self.told["transfer"]
        if told is None:
            return
        self._list([told.told, *(sentence for _, sentence in told.sentences)])
        self._table(told.table, told.caption)

    def combinations(self) -> None:
        """Show what several answers, networks or epochs together gain, and what that costs."""
        told = self.told["combinations"]
        if told is None:
            return
        self._list([told.told, *(sentence for _, sentence in told.sentences)])
        self._table(told.table, told.caption)

    def parameters(self) -> None:
        """Show every training parameter of the reference candidate, explained, and what others have besides."""
        reference = self.told["reference_settings"]
        self._table(tabulate_parameters(reference, self.words))
        others = tabulate_other_parameters(reference, self.told["settings"], self.words)
        if others.rows:
            self._list([self.words.say("What other candidates are trained with besides:")])
            self._table(others)

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
            self._table(
                Table(columns, rows),
                say(
                    "What each candidate changes in the configuration of {baseline}; all else is the same.",
                    baseline=self.told["reference"],
                ),
            )
        else:
            self._list([say("No candidate changes any of it.")])

    def ablations(self) -> None:
        """Show each ablation: what was varied, what was shown, drawn and set out."""
        if self.told["ablation_correction"]:
            self._list([self.told["ablation_correction"]])
        for ablation in self.told["ablations"]:
            show_html(f"<h3>{html.escape(ablation.title)}</h3>")
            told = [ablation.gap, *(sentence for _, sentence in ablation.sentences)]
            self._list(filter(None, told))
            self._draw(ablation.drawing, self._captions(ablation.group.of).get("verdicts_drawing", ""))
            if ablation.influence is not None:
                self._draw(ablation.influence, self._captions().get("influence", ""))
            self._table(ablation.table, self._captions(ablation.group.of).get("verdicts", ""))
        if not self.told["ablations"]:
            self._list([self.words.say("The study holds none.")])

    def searches(self) -> None:
        """Show each search: its cost beside its gain, what was found, and how its trials went."""
        say = self.words.say
        for search in self.told["searches"]:
            summary = search.summary
            title = say("{candidate}, searched from {baseline}", candidate=summary.candidate, baseline=summary.of)
            show_html(f"<h3>{html.escape(title)}</h3>")
            self._list([search.cost, *([search.gain[1]] if search.gain else [])])
            self._table(search.settings, say("The fields that were searched, and what was found."))
            for drawing, caption in search.drawings:
                self._draw(drawing, caption)

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
                self._table(exhibit, captions[name])
            elif isinstance(exhibit, Drawing):
                self._draw(exhibit, captions[name])

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
            why = "".join(mark_english(piece.text, piece.is_quoted) for piece in pieces)
            show_html(f"<p>{html.escape(failed)} {why}</p>")
        for note, names, is_english in self.told["notes"]:
            of = f" ({self.words.listing(names)})" if names else ""
            show_html(f"<p>{mark_english(note, is_english)}{html.escape(of)}</p>")

    def path(self) -> None:
        """Show every trial and every run in order, pruned and failed ones too, with what each decided."""
        say = self.words.say
        columns = (Column("#"), Column(say("run"), numeric=False), Column(say("what came of it"), numeric=False))
        told = tell_path(self.study, self.words, self.told["metric"])
        rows = tuple((Cell(str(n)), Cell(label), Cell(said)) for n, (label, said) in enumerate(told, 1))
        self._table(Table(columns, rows))

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

    def _captions(self, baseline: str = "") -> dict[str, str]:
        """Return what the note says of tables and figures by their names; those are left out whose own cell says it."""
        return caption_results(self.told["metric"], baseline or self.study.record.baseline, self.words)

    def _table(self, table: Table, caption: str = "") -> None:
        """Show a table, below it what it holds and what those of its columns hold whose headings are short."""
        show_html(write_table(table))
        self._list(filter(None, [caption, self._tell_columns(table)]))

    def _tell_columns(self, table: Table) -> str:
        """Say what columns hold whose headings are short; neighbours that hold the same are named together."""
        alike = [(hint, list(columns)) for hint, columns in groupby(table.columns, key=lambda column: column.hint)]
        named = [Column(self.words.listing(each.heading for each in columns), hint=hint) for hint, columns in alike]
        return tell_columns(Table(tuple(named), ()), self.words)

    def _draw(self, drawing: Drawing, caption: str) -> None:
        """Show a figure, with what is said below it."""
        show_drawing(drawing)
        self._list(filter(None, [caption]))

    def _define(self, name: str, what: str) -> str:
        """Return a name and what it is for a page, the name set off."""
        return self.words.say("{name}: {told}", name=f"<b>{html.escape(name)}</b>", told=html.escape(what))

    def _list(self, items: Iterable[str]) -> None:
        if text := "".join(f"<p>{html.escape(item)}</p>" for item in items):
            show_html(text)
