"""mpi: the matcher itself: measure it, train it, see what another model would change, run it over a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hie_node.commands.output import Json, caller_of, open_house, settings_of_node, show, table

if TYPE_CHECKING:
    from hie_node.lab.evaluation import Evaluation, Known
    from registry.traits import Traits
    from registry.weights import Model

_EXAMPLES = 10


def add_to(app: typer.Typer) -> None:
    for command in (evaluate, train, relink, drift, link, invent):
        app.command()(command)


_SHIPPED = Path("shipped")


def _model(path: Path | None) -> Model:
    from registry import weights

    return weights.shipped() if path in (None, _SHIPPED) else weights.read(path.read_text("utf-8"))


def _model_for(source: Path, chosen: Path | None) -> Model:
    """The chosen one, or the one that suits the list."""
    from hie_node.list_models import model_for

    return model_for(source, tell=lambda line: typer.echo(line, err=True)) if chosen is None else _model(chosen)


def evaluate(
    truth: Annotated[
        Path | None, typer.Option("--truth", help="A list of registrations with the column `person`.")
    ] = None,
    lab: str = typer.Option(None, "--lab", help="Invented registrations instead: clean, realistic or hostile."),
    count: int = typer.Option(10_000, "--count", min=1, help="How many invented registrations."),
    seed: int = typer.Option(1, "--seed", help="The same number makes the same again."),
    model: Annotated[
        Path | None,
        typer.Option("--model", help="A model file, or `shipped`: the default, but for lists of names from abroad."),
    ] = None,
    region: str = typer.Option("first", "--region", help="Which of the invented: first, second, third or abroad."),
    harder: str = typer.Option("", "--harder", help="Every line harder: no marks, years only, local ids again, …"),
    shuffle: bool = typer.Option(False, "--shuffle", help="Also in another order: does it change the answer?"),
    as_json: Json = False,
) -> None:
    """How good the matcher is where the truth is known: precision, recall, false merges, reviews, by error class."""
    from hie_node.lab.evaluation import evaluate as measured
    from hie_node.lab.evaluation import shuffled_agreement

    weights = _model(model) if truth is None else _model_for(truth, model)
    known = (
        _known_from_file(truth, abroad=weights.strangers)
        if truth is not None
        else _known_from_lab(lab or "realistic", count, seed, region=region, way=harder)
    )
    found = measured(known, weights)
    document = _figures(found, weights.version)
    if shuffle:
        document["agreement_of_two_orders"] = round(shuffled_agreement(known, found, weights, seed=seed), 5)
    lines = [f"{name.replace('_', ' '):28} {value}" for name, value in document.items() if name != "classes"]
    rows = [[name, *one.values()] for name, one in document["classes"].items()]
    show(
        document,
        [*lines, "", *table(rows, head=["error class", "known", "linked", "wrongly", "asked"])],
        as_json=as_json,
    )


def _known_from_file(path: Path, *, abroad: bool) -> list[Known]:
    from hie_node.lab.evaluation import Known
    from hie_node.patient_lists import read_truth

    return [Known(one.read_for(abroad=abroad), one.person, one.applied) for one in read_truth(path)]


def _known_from_lab(level: str, count: int, seed: int, *, region: str, way: str) -> list[Known]:
    from hie_node.lab.evaluation import Known
    from hie_node.lab.registrations import LEVELS, registrations
    from hie_node.patient_lists import listed
    from registry.traits import traits_of

    if level not in LEVELS:
        raise typer.BadParameter(f"expected one of {', '.join(LEVELS)}", param_hint="--lab")
    if region != "first" or way:
        lines = (listed(row) for row in _exported(level, count, seed, region=region, way=way))
        return [Known(one.traits, one.person, one.applied) for one in lines]
    return [
        Known(
            traits_of(one.identifiers, one.demographics),
            None if one.person is None else str(one.person),
            one.applied,
        )
        for one in registrations(count, seed, LEVELS[level])
    ]


def _figures(found: Evaluation, version: str) -> dict[str, Any]:
    one = found.unaided
    return {
        "model": version,
        "registrations": one.registrations,
        "precision": round(one.precision, 5),
        "recall": round(one.recall, 4),
        "f1": round(one.f1, 4),
        "b_cubed_precision": round(one.b3_precision, 5),
        "b_cubed_recall": round(one.b3_recall, 4),
        "b_cubed_f1": round(one.b3_f1, 4),
        "false_merges_per_100k": round(one.false_merges_per_100k, 1),
        "reviews_per_1000": round(found.reviews_per_1000, 1),
        "reviews_true": round(found.share_true, 3),
        "recall_after_review": round(found.after.recall, 4),
        "unknown_patients_linked": found.nobody,
        "microseconds_a_decision": round(1e6 * found.seconds / max(1, one.registrations)),
        "classes": {
            name: {"known": c.registrations, "linked": c.linked, "wrongly": c.wrongly, "asked": c.asked}
            for name, c in found.classes.items()
        },
    }


def train(
    pairs: int = typer.Option(50_000, "--pairs", min=1, help="How many pairs of records are looked at."),
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the model goes; by default into the node's folder, unused yet.")
    ] = None,
    seed: int = typer.Option(1, "--seed", help="The same number makes the same again."),
    source: Annotated[
        Path | None, typer.Option("--in", help="A list instead, as of `link`; the model is for such lists.")
    ] = None,
    only_strangers: bool = typer.Option(
        False, "--only-strangers", help="Twins and relatives of one name hardly occur in that list. Never for patients."
    ),
    as_json: Json = False,
) -> None:
    """Learn the weights on this hospital's own records; nobody has to say which pairs are one person.

    The present model stays in use. Both are tried on records that were held out, and what they made of them is told."""
    from dataclasses import asdict, replace

    from registry import held_out, training, weights

    if only_strangers and source is None:
        raise typer.BadParameter("a hospital has twins; only for a list", param_hint="--only-strangers")
    records, present, path = _to_learn_from(source, out, abroad=only_strangers)
    # without personal numbers nothing can be held out, and the list is there to be learnt from as a whole
    learn, held = (records, []) if only_strangers else held_out.split(records)
    start = weights.only_strangers(weights.shipped()) if only_strangers else weights.shipped()
    learnt, now = training.train(learn, start, pairs=pairs, seed=seed), datetime.now(UTC)
    before, after = (held_out.measured(held, one, size=len(records)) for one in (present, learnt.model))
    record = {
        "method": "expectation and maximisation on own records",
        "trained": now.isoformat(timespec="seconds"),
        "from": weights.shipped().version,
        "records": learnt.records,
        "pairs": learnt.pairs,
        "rounds": learnt.rounds,
        "seed": seed,
        "share_same_person": round(learnt.same, 4),
        "held_out": {"present": present.version, "before": asdict(before), "after": asdict(after)},
    }
    model = replace(learnt.model, version=f"{weights.shipped().version}+{now:%Y%m%d%H%M}", record=record)
    path.write_text(weights.written(model), "utf-8")
    worse = after.worse_than(before)
    text = f"{path}: {learnt.pairs} pairs of {learnt.records} records, {learnt.rounds} rounds"
    worse_than = "WORSE than the present model on records that were held out; better not used"
    then = worse_than if worse else _use(path, source)
    tried = [
        f"{name}: {one.found} of {one.same} pairs of one person found, {one.mistaken} of {one.other} others linked"
        for name, one in (("present model", before), ("learnt model", after))
    ]
    show({"file": str(path), **record, "worse": worse}, [text, *tried, then], as_json=as_json)


def _to_learn_from(source: Path | None, out: Path | None, *, abroad: bool) -> tuple[list[Traits], Model, Path]:
    """The records, the model in use, and where the learnt one goes."""
    if source is not None:
        from hie_node.patient_lists import count_lines, read_list

        count_lines(source)
        listed = [one.read_for(abroad=abroad) for one in read_list(source)]
        return listed, _model(None), out or source.with_name(f"{source.name}.model.json")
    from hie_node.bootstrap import model_of
    from registry.traits import traits_of_record

    house = open_house()
    with house.storage.read() as unit:
        records = [traits_of_record(record) for _, record in unit.patients.everybody()]
    return records, model_of(settings_of_node()), out or house.settings.home / "matching_model.new.json"


def _use(path: Path, source: Path | None) -> str:
    if source is not None:
        return f"use it: hie mpi link --model {path} --in {source} --out clusters.csv"
    see = f"see what it would change: hie mpi relink --dry-run --model {path}"
    return f"{see}; to use it: rename it matching_model.json"


def relink(
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would change."),
    as_user: Annotated[str | None, typer.Option("--as", help="Who answers for it: a user of this hospital.")] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="A model file; by default the one that the node uses.")
    ] = None,
    as_json: Json = False,
) -> None:
    """As if every record arrived again: who is joined, parted, asked about. Decisions of people stay."""
    from hie_node.acts import Act
    from hie_node.bootstrap import model_of
    from hie_node.relinking import apply, differences

    if not dry_run and as_user is None:
        raise typer.BadParameter("say who answers for the change, or add --dry-run", param_hint="--as")
    house = open_house()
    weights = _model(model) if model is not None else model_of(settings_of_node())
    if weights.strangers:
        raise typer.BadParameter("this model takes twins for one person; it is for lists alone", param_hint="--model")
    with house.storage.read() as unit:
        found = differences(unit.patients, weights)
    moved = 0 if dry_run else apply(Act(house, caller_of(house, as_user), "hie mpi"), found)
    examples: list[dict[str, Any]] = [
        {"change": kind, "record": one.record_id, "other": one.other_id, "evidence": list(one.evidence)}
        for kind, changes in (("join", found.joined), ("part", found.parted), ("ask", found.asked))
        for one in changes[:_EXAMPLES]
    ]
    document = {
        "records": found.records,
        "join": len(found.joined),
        "part": len(found.parted),
        "ask": len(found.asked),
        "moved": moved,
        "examples": examples,
    }
    rows = [[e["change"], e["record"], e["other"], "; ".join(e["evidence"])] for e in examples]
    counts = f"{len(found.joined)} to join, {len(found.parted)} to part, {len(found.asked)} to ask"
    then = "nothing was changed" if dry_run else f"{moved} records moved; each link can be undone: hie mpi unmerge LINK"
    lines = table(rows, head=["change", "record", "other", "evidence"]) if rows else []
    show(document, [f"{found.records} records: {counts}; {then}", *lines], as_json=as_json)


def drift(as_json: Json = False) -> None:
    """Do the hospital's records still look as the model expects? Names that became common, fields that went empty."""
    from hie_node.bootstrap import model_of
    from registry.drift import drift as measured
    from registry.traits import traits_of_record

    house = open_house()
    with house.storage.read() as unit:
        records = [traits_of_record(record) for _, record in unit.patients.everybody()]
    found = measured(records, model_of(settings_of_node()))
    document = {
        "records": found.records,
        "missing": dict(found.missing),
        "more_common_than_assumed": [list(one) for one in found.commoner],
        "keys_that_are_crowds": found.crowds,
    }
    rows = [[name, f"{share:.0%}"] for name, share in found.missing]
    named = [[kind, value, f"{assumed / 10:.1f}", f"{here / 10:.1f}"] for kind, value, assumed, here in found.commoner]
    lines = [f"{found.records} records; {found.crowds} keys lead to too many to be looked at", "",
             *table(rows, head=["not known", "share"])]  # fmt: skip
    if named:
        lines += [
            "",
            *table(named, head=["part", "value", "bits assumed", "bits here"]),
            "",
            "learn them: hie mpi train",
        ]
    show(document, lines, as_json=as_json)


def link(
    source: Annotated[Path, typer.Option("--in", help="CSV; columns as in docs, all but record_id optional.")],
    out: Annotated[Path, typer.Option("--out", help="CSV: record_id, cluster_id, zone, score.")],
    review: Annotated[Path | None, typer.Option("--review", help="CSV: record_a, record_b, score, reasons.")] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="A model file, or `shipped`: the default, but for lists of names from abroad."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the matcher over a file, as if the registrations arrived in its order."""
    from hie_node.list_linking import link_list

    found = link_list(source, out, review, _model_for(source, model), tell=lambda line: typer.echo(line, err=True))
    each = found.records / found.seconds if found.seconds else 0.0
    result = {
        "records": found.records,
        "clusters": found.clusters,
        "linked": found.linked,
        "reviews": found.reviews,
        "seconds": round(found.seconds, 1),
        "records_a_second": round(each),
    }
    show(result, [f"{name.replace('_', ' ')}: {value}" for name, value in result.items()], as_json=as_json)


def invent(
    out: Annotated[
        Path, typer.Option("--out", help="CSV; the columns of `link`, with `person` and `applied` besides.")
    ],
    lab: str = typer.Option("realistic", "--lab", help="clean, realistic or hostile."),
    count: int = typer.Option(10_000, "--count"),
    seed: int = typer.Option(1, "--seed"),
    region: str = typer.Option("second", "--region", help="second, third or abroad."),
    harder: str = typer.Option("", "--harder", help="Every line harder: no marks, years only, local ids again, …"),
    as_json: Json = False,
) -> None:
    """Write a list of invented registrations with the truth beside, for `link` and `evaluate --truth`."""
    from hie_node.lab.exports import COLUMNS

    written, rows = 0, _exported(lab, count, seed, region=region, way=harder)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            written += 1
    show({"file": str(out), "registrations": written}, [f"{out}: {written} registrations"], as_json=as_json)


def _exported(level: str, count: int, seed: int, *, region: str, way: str) -> Iterator[dict[str, str]]:
    from hie_node.lab.abroad import listed_abroad
    from hie_node.lab.exports import LEVELS, exported
    from hie_node.lab.harder import WAYS, harder
    from hie_node.lab.stations import listed_by_stations

    if level not in LEVELS:
        raise typer.BadParameter(f"expected one of {', '.join(LEVELS)}", param_hint="--lab")
    if region not in ("second", "third", "abroad"):
        raise typer.BadParameter("expected second, third or abroad", param_hint="--region")
    if way and way not in WAYS:
        raise typer.BadParameter(f"expected one of {', '.join(WAYS)}", param_hint="--harder")
    rows = (
        listed_abroad(count, seed)
        if region == "abroad"
        else listed_by_stations(count, seed, level)
        if region == "third"
        else exported(count, seed, LEVELS[level])
    )
    return harder(rows, way) if way else rows
