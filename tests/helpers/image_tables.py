"""Tables of images as the audit writes them, and what a split makes of them."""

import pandas as pd
from hypothesis import strategies as st
from pulmoscan.data import splits


def images_table(sources, groups=()):
    """A table of images from {class: {source: count}} and tuples of rows that are duplicates."""
    rows = []
    for class_name, counts in sources.items():
        names = [source for source, count in counts.items() for _ in range(count)]
        rows += [(f"{class_name}-{i}", class_name, source) for i, source in enumerate(names, 1)]
    table = pd.DataFrame(rows, columns=["image", "class", "source"])
    table["duplicate_group"] = None
    for number, members in enumerate(groups):
        table.loc[list(members), "duplicate_group"] = f"group {number}"
    table["defects"] = ""
    return table


def counts(table, by=("class",)):
    """Images of each part, in the order of `splits.PARTS`, by class or by other columns."""
    sizes = table.groupby([*by, "split"]).size().unstack(fill_value=0)
    return {key: tuple(row[list(splits.PARTS)]) for key, row in sizes.iterrows()}


@st.composite
def grouped_tables(draw, largest_group=5, parts=3):
    """Tables with enough single images in each class for that many parts of exact size."""
    sources = draw(
        st.dictionaries(
            st.sampled_from(["COVID", "Normal", "Viral Pneumonia"]),
            st.dictionaries(st.sampled_from("ABC"), st.integers(20, 60), min_size=1),
            min_size=1,
        )
    )
    groups, start = [], 0
    for sizes in sources.values():
        total = sum(sizes.values())
        members = draw(st.permutations(range(start, start + total)))
        largest = draw(st.integers(1, largest_group))
        while (
            len(members) > (parts - 1) * largest + 5 and largest > 1
        ):  # single images stay to fill up
            size = draw(st.integers(2, largest))
            groups.append(tuple(members[:size]))
            members = members[size:]
            if draw(st.integers(0, 9)) == 0:
                break
        start += total
    return images_table(sources, groups)
