"""What the searches for hyperparameters found, and their trials."""

from pulmoscan.report import page, run_tables, sentences, tables
from pulmoscan.report.run_tables import SEARCH
from pulmoscan.report.study import Study


def tuned_heads(study: Study) -> str:
    """Return the published settings beside those found."""
    return tables.settings(study.table("tuned_heads"), study.samplings)


def searches(study: Study) -> str:
    """Return the searches that were made, the best trials of each, and which were not made."""
    trials = study.gathered("trials")
    parts = [run_tables.searches(study.gathered("searches"), trials)] if len(trials) else []
    several = len(trials) and trials["split_name"].nunique() > 1
    for (split, model, _), part in trials.groupby(SEARCH, sort=False):
        name = f"{split}: {model}" if several else model
        parts.append(run_tables.best_trials(name, part))
    return "".join(parts) + _not_made(study)


def _not_made(study: Study) -> str:
    """Return which selected models have a search of their own that was not made, and why."""
    tuned = {name for name, entry in study.config["models"].items() if "tune" in entry}
    made = set(study.gathered("trials")["model"])
    parts = []
    for model in sorted(tuned & set(study.runs["model"]) - made):
        reasons = study.runs.loc[study.runs["model"] == model, "reason"].unique()
        why = sentences.joined(*reasons)
        parts.append(page.note(page.escaped(f"The search of {model} was not run: {why}.")))
    return "".join(parts)
