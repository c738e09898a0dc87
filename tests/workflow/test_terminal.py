"""What a run of the whole workflow prints, and what a plan says about trainings that it loses."""

import re

CLOCK = r"\[\d\d:\d\d:\d\d\]"
TIME = r"(\d+ min )?\d+ s"


def test_a_run_prints_a_line_per_job_and_ends_with_the_results(finished):
    lines = finished.printed.splitlines()
    end = lines.index("")
    jobs = lines[1:end]
    # Nothing else is said before.
    total = re.match(rf"{CLOCK}  (\d+) jobs: data 3, splits \d+, ", lines[0])[1]
    assert len(jobs) == int(total)
    name = r"[a-z_]+( \S+)?"
    assert all(re.fullmatch(rf"{CLOCK}  +\d+ of {total}  {name}  {TIME}", line) for line in jobs)
    train = rf"of {total}  train grouped/lungs/lenet5/unfreeze-all/seed-0  "
    assert sum(re.search(train, line) is not None for line in jobs) == 1
    assert re.fullmatch(r"model +unfrozen +variant +test accuracy in %.*", lines[end + 1])
    accuracies = lines[end + 2 : lines.index("", end + 1)]
    figure = r"\d+\.\d \[\d+\.\d, \d+\.\d\]"
    assert all(re.fullmatch(rf"\S+ +\S+ +\S+ +{figure}", line) for line in accuracies)
    assert len(accuracies) == 9
    assert lines[-2] == "The report: results/report/report.html"
    assert re.fullmatch(rf"{total} jobs in {TIME}", lines[-1])


def test_no_job_warns(finished):
    for log in (finished.folder / "results/logs").rglob("*.log"):
        text = log.read_text()
        assert "arning" not in text, log
        assert "WARNING" not in text, log


def test_every_epoch_names_its_run(finished):
    folder = finished.folder / "results/logs/train"
    for log in folder.rglob("*.log"):
        name = log.relative_to(folder).with_suffix("").as_posix()
        epochs = [line for line in log.read_text().splitlines() if "epoch" in line]
        assert epochs
        assert all(line.startswith(f"{name}: ") for line in epochs)


def test_trainings_that_a_plan_loses_are_counted(editable):
    path = editable.folder / "scripts/pulmoscan/training/schedule.py"
    path.write_text(path.read_text() + "\n\nCHANGED = True\n")
    done = editable.snakemake("--dry-run")
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "made again" in line]
    what = r"(1 finished search|8 finished trainings)"
    why = r"Reason: Code has changed: pulmoscan/training/schedule\.py \((train|tune)\).*"
    made = rf"{what} and {what}, which took {TIME}, would be made again\. {why}"
    assert re.fullmatch(made, line)
