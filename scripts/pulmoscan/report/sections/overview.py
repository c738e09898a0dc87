"""The beginning and the end of the page: what was studied, what is wrong, what it was made with."""

from pathlib import PurePosixPath

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.data.collections import UNKNOWN
from pulmoscan.report import page
from pulmoscan.report.captions import TABLES
from pulmoscan.report.sentences import counted
from pulmoscan.report.study import Study
from pulmoscan.results.verification import State

SYNTHETIC = (
    "The images of this report are synthetic: procedural phantoms, no patient's radiograph. Its "
    "numbers show that the workflow runs; they say nothing about the study."
)
LISTED = 50  # results that were changed
WRONG = (
    "Results that this report was made from were changed, or are gone, since they were made: its "
    "figures may not be those that were computed."
)
RANDOM = (
    "The networks start from random weights (<code>weights.source: none</code>), not from ImageNet"
)
UNTRAINED = f"{RANDOM} as in the study: their figures do not compare with the published ones."


def title(study: Study) -> str:
    """Return the title; where images are synthetic, the line above it says so."""
    banner = page.note(SYNTHETIC, "synthetic") if study.synthetic else ""
    if _wrong(study):
        banner += page.note(f"{WRONG} <a href='#provenance'>Which ones</a>", "wrong")
    return f"{banner}<h1>{page.escaped(study.title or _usual_title(study))}</h1>"


def _usual_title(study: Study) -> str:
    if study.published:
        return "PulmoSCAN: the study re-run"
    images, classes = len(study.audit), len(study.classes)
    return f"Classification of {images:,} chest radiographs in {classes} classes"


def introduction(study: Study) -> str:
    """Return which images and runs the page is about, in sentences."""
    table = study.table("classes")
    counts = dict(zip(table["class"], table["images"], strict=True))
    images = ", ".join(f"{name} ({counts[name]:,.0f})" for name in study.classes)
    said = [f"{counted(len(study.audit), 'radiograph')} in {len(study.classes)} classes: {images}"]
    if "patient" in study.audit:
        said.append(f"They are of {counted(study.audit['patient'].nunique(), 'patient')}")
    if (sources := study.table("sources")["source"].tolist()) != [UNKNOWN] and len(sources) == 1:
        said.append(f"All come from one source: {sources[0]}")
    if unused := len(study.audit) - len(study.usable):
        said.append(f"{counted(unused, 'image')} with defects {_are(unused)} not used")
    unmasked = int((~study.masked_rows[study.usable.index]).sum())
    if not study.has_masks:
        said.append("There are no lung masks, so every network sees whole images")
    elif unmasked:
        said.append(f"{counted(unmasked, 'image')} {'has' if unmasked == 1 else 'have'} no mask")
    made = len(study.made[runs.KEY].drop_duplicates())
    said.append(f"{counted(made, 'run')} {_are(made, past=True)} made")
    return f"<p>{page.escaped('. '.join(said))}.</p>"


def _are(number: int, past: bool = False) -> str:
    return ("was" if past else "is") if number == 1 else ("were" if past else "are")


def summary(study: Study) -> str:
    """Return what was studied, in one row."""
    splits = study.runs["split"].unique()
    row = {
        "Data": study.config["dataset"]["source"],
        "Images": len(study.audit),
        "Without defects": len(study.usable),
        "Split": ", ".join(splits),
        "Weights": study.config["weights"]["source"],
        "Trainings made": len(study.made),
        "Seeds": ", ".join(map(str, study.config["seeds"])),
    }
    counts = dict.fromkeys(("Images", "Without defects", "Trainings made"), page.count)
    note = ""
    if study.untrained:
        note = page.note(UNTRAINED if study.published else f"{RANDOM}.")
    return page.table(pd.DataFrame([row]), counts) + note


def faults(study: Study) -> str:
    """Return where the study is wrong, or weaker than it reads, with what these data say of it."""
    points = [
        "The headline figures are validation accuracies (860 images) of the set that also stopped "
        "the training, one training per row: 91 % is 89.0 to 92.8 % at 95 %, so most differences "
        "between neighbouring rows are inside the noise (see "
        "<a href='#synthesis'>the synthesis of the results</a>).",
        "Three classes, 95 % on test: the public notebook shows a test set built from the training "
        "folder, and a network whose base was never unfrozen (see <a href='#three'>three "
        "classes</a>).",
        "The table of intensities is that of whole images, not of masked ones (see "
        f"<a href='#levels'>grey levels</a>). Mean grey levels in these data: {_levels(study)}.",
        "Class and source are almost the same thing (see <a href='#sources'>sources</a>): in these "
        f"data {_single_class_sources(study)} give one class only.",
        "The larger set takes every COVID and Viral Pneumonia image, the test images of those "
        "classes included (see <a href='#more'>more images</a>).",
        "Copies of a radiograph lie on both sides of the split, which was neither seeded nor "
        f"saved. In these data: {_copies(study)} (see <a href='#defects'>defects and "
        "duplicates</a>).",
        "The binary network ends in a ReLU under a cross-entropy loss, with a threshold chosen by "
        "hand (see <a href='#binary'>grey-level histograms</a>).",
        "Layers are unfrozen at a learning rate of 0.001 without warming up the head first, which "
        "the guide of Keras advises against (see <a href='#protocol'>what the protocol itself "
        "cost</a>).",
        "The study contradicts itself: 4,503 images against 4,304; EfficientNetB1 in the text, B7 "
        "in the table; ResNet152V2 frozen at 82 % in one table and 68 % in another; LeNet-3 for "
        "LeNet-5.",
        "More images and enhancement are reported for a progressive unfreezing whose stages are "
        "not given (see <a href='#more'>more images</a> and <a href='#enhancement'>"
        "enhancement</a>); the space of the LeNet search differs from that of its notebook (see "
        "<a href='#heads'>tuned heads</a>).",
    ]
    return f"<ol>{''.join(f'<li>{point}</li>' for point in points)}</ol>"


def _levels(study: Study) -> str:
    """Return the mean grey level of each class, whole and inside the lungs."""
    means = study.table("intensity").pivot(index="class", columns="region", values="mean_of_means")
    return page.escaped(
        "; ".join(
            f"{name} {page.decimal(means['full'][name])} whole, "
            f"{page.decimal(means['lungs'][name])} inside the lungs"
            for name in study.classes
        )
    )


def _single_class_sources(study: Study) -> str:
    """Return how many of the known sources give images of one class alone."""
    sources = study.table("class_by_source")
    counts = sources[sources["source"] != UNKNOWN].drop(columns="source")
    return f"{((counts > 0).sum(axis=1) == 1).sum()} of {len(counts)} sources"


def _copies(study: Study) -> str:
    """Return how many copies of radiographs the data hold."""
    duplicates = study.table("duplicates")
    return f"{len(duplicates):,} pairs in {duplicates['group'].nunique():,} groups"


def verification(study: Study) -> str:
    """Return whether the results that the report is made from are what they were when made."""
    recorded = [state for state in study.verified.values() if state is not State.UNRECORDED]
    unknown = len(study.verified) - len(recorded)
    if not recorded:
        return page.note("No digests of the results were recorded when they were made.")
    more = f" {counted(unknown, 'file')} without a recorded digest." if unknown else ""
    if wrong := _wrong(study):
        files = pd.DataFrame([(str(name), str(state)) for name, state in wrong.items()])
        listed = page.table(files.set_axis(["file in results/", "state"], axis=1).head(LISTED))
        rest = f" The first {LISTED}:" if len(wrong) > LISTED else ""
        said = f"{WRONG} {len(wrong):,} of {counted(len(recorded), 'result')}.{more}{rest}"
        return page.note(said, "wrong") + listed
    return page.note(
        f"All {counted(len(recorded), 'result')} that this report was made from match the digests "
        f"recorded when they were made.{more}"
    )


def _wrong(study: Study) -> dict[PurePosixPath, State]:
    fine = (State.MATCHES, State.UNRECORDED)
    return {name: state for name, state in study.verified.items() if state not in fine}


def provenance(study: Study) -> str:
    """Return what the report was made with, and what every stage cost."""
    return (
        verification(study)
        + page.table(study.table("provenance"), caption=TABLES["provenance"], wide=["value"])
        + page.table(
            page.dashed(study.table("costs")),
            {"seconds": page.decimal, "cpu_seconds": page.decimal, "peak_mib": page.count},
            TABLES["costs"],
            {"cpu_seconds": "CPU seconds", "peak_mib": "peak memory, MiB"},
        )
    )
