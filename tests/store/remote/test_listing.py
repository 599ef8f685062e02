"""What is remembered of a listing agrees with the plain table of names that it stands for."""

from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from phasetune.store.remote.listing import Listing

NAMES = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join)


def below(sizes: dict[str, int], folder: str) -> dict[str, int]:
    start = f"{folder}/" if folder else ""
    return {n: s for n, s in sizes.items() if n.startswith(start)}


@given(st.dictionaries(NAMES, st.integers(0, 9)), st.lists(NAMES), NAMES)
def test_it_holds_what_was_put_and_not_dropped(
    sizes: dict[str, int], gone: list[str], folder: str
) -> None:
    listing = Listing()
    for name, size in sizes.items():
        listing.put(name, size)
    for name in gone:
        listing.drop(name)
    left = {name: size for name, size in sizes.items() if name not in gone}
    assert listing.at_or_below("") == left
    if folder not in left:
        assert listing.at_or_below(folder) == below(left, folder)


@given(st.dictionaries(NAMES, st.integers(0, 9)), st.dictionaries(NAMES, st.integers(0, 9)))
def test_a_folder_is_replaced_and_nothing_else(
    before: dict[str, int], after: dict[str, int]
) -> None:
    listing = Listing()
    for name, size in before.items():
        listing.put(f"x/{name}", size)
        listing.put(f"y/{name}", size)
    new = {f"x/{name}": size for name, size in after.items()}
    listing.replace("x", new)
    assert listing.at_or_below("x") == new
    assert listing.at_or_below("y") == {f"y/{name}": size for name, size in before.items()}


@given(st.sets(NAMES))
def test_folders_are_found_by_pattern(names: set[str]) -> None:
    listing = Listing()
    for name in names:
        listing.put(name, 1)
    folders = {name.rsplit("/", n)[0] for name in names for n in range(1, name.count("/") + 1)}
    expected = {f for f in folders if f.count("/") == 1 and fnmatchcase(f, "a/*")}
    assert set(listing.folders_like("a/*")) == expected
