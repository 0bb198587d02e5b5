"""Layouts of datasets, written as they are published, and read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.errors import ConfigError
from engines.evaluation.experiment.dataset import Dataset, Shot, read_dataset


def make(root: Path, *names: str) -> Path:
    """Files below `root`, empty: no photo is opened."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def owners(dataset: Dataset) -> dict[str, str]:
    return {shot.name: shot.person for shot in dataset.shots}


# --- one folder a person ------------------------------------------------------------------------------
LFW = ("Ann_B/Ann_B_0001.jpg", "Ann_B/Ann_B_0002.jpg", "Carl/Carl_0001.jpg")


def test_one_folder_a_person(tmp_path: Path) -> None:
    make(
        tmp_path,
        *reversed(LFW),
        "Ann_B/notes.txt",
        "Empty/readme.md",
        ".hidden/x.jpg",
        "Carl/.x.jpg",
        "loose.jpg",
    )
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "folders"
    assert [shot.name for shot in dataset.shots] == list(LFW)
    assert dataset.shots[0] == Shot("Ann_B", LFW[0], tmp_path / LFW[0])
    assert {person: len(shots) for person, shots in dataset.people.items()} == {"Ann_B": 2, "Carl": 1}
    assert dataset.groups == {}


@pytest.mark.parametrize("inner", ["lfw", "lfw_funneled"])
def test_lfw_as_it_is_unpacked_has_the_same_names(tmp_path: Path, inner: str) -> None:
    make(tmp_path, *(f"{inner}/{name}" for name in LFW), "pairs.txt")
    dataset = read_dataset(tmp_path)
    assert [shot.name for shot in dataset.shots] == list(LFW)
    assert dataset.shots[0].path == tmp_path / inner / LFW[0]


def test_two_datasets_side_by_side_are_not_mixed(tmp_path: Path) -> None:
    make(tmp_path, *(f"{inner}/{name}" for inner in ("lfw", "lfw_funneled") for name in LFW))
    with pytest.raises(ConfigError, match="several datasets: give one of lfw, lfw_funneled"):
        read_dataset(tmp_path)


def test_every_suffix_counts_and_our_own_results_do_not(tmp_path: Path) -> None:
    make(tmp_path, "a/1.JPG", "a/2.jpeg", "a/3.png", "a/4.WebP", "a/5.gif", "a/1-protected.JPG")
    assert sorted(owners(read_dataset(tmp_path))) == ["a/1.JPG", "a/2.jpeg", "a/3.png", "a/4.WebP"]


def test_links_that_lead_in_circles_or_nowhere_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path, *LFW)
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "Carl2").symlink_to(tmp_path / "Carl", target_is_directory=True)
    (tmp_path / "knot").symlink_to(tmp_path / "knot")
    (tmp_path / "Carl" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "Carl" / "knot.jpg").symlink_to(tmp_path / "Carl" / "knot.jpg")
    assert list(owners(read_dataset(tmp_path))) == list(LFW)


def test_a_dataset_may_itself_be_a_link(tmp_path: Path) -> None:
    make(tmp_path / "far" / "lfw", *LFW)
    (tmp_path / "here").symlink_to(tmp_path / "far" / "lfw", target_is_directory=True)
    dataset = read_dataset(tmp_path / "here")
    assert list(owners(dataset)) == list(LFW)
    assert dataset.shots[0].path == tmp_path / "here" / LFW[0]


# --- a file of identities -----------------------------------------------------------------------------
CELEBA = "000001.jpg 2880\n000002.jpg 2937\n\n000003.jpg 2880\n000009.jpg 7\n"


@pytest.mark.parametrize(
    "place", ["img_align_celeba/identity_CelebA.txt", "identity_CelebA.txt", "given.txt"]
)
@pytest.mark.parametrize("from_above", [False, True])
def test_celeba(tmp_path: Path, place: str, from_above: bool) -> None:
    photos = make(tmp_path / "img_align_celeba", "000001.jpg", "000002.jpg", "000003.jpg", "000004.jpg")
    (tmp_path / place).write_text(CELEBA)
    given = tmp_path / place if place == "given.txt" else None
    dataset = read_dataset(tmp_path if from_above else photos, identities=given)
    assert dataset.layout == "identities"
    assert owners(dataset) == {"000001.jpg": "2880", "000002.jpg": "2937", "000003.jpg": "2880"}
    assert dataset.shots[0].path == photos / "000001.jpg"


def test_celeba_saved_as_png_goes_by_the_same_file(tmp_path: Path) -> None:
    make(tmp_path, "000001.png", "000003.png")
    (tmp_path / "identity_CelebA.txt").write_text(CELEBA)
    assert owners(read_dataset(tmp_path)) == {"000001.png": "2880", "000003.png": "2880"}


def test_celeba_hq_goes_by_its_mapping(tmp_path: Path) -> None:
    """Photo 1 of CelebA-HQ is not photo 1 of CelebA, and 000001.jpg beside it still is."""
    photos = make(tmp_path / "CelebA-HQ-img", "0.jpg", "1.jpg", "5.jpg")
    make(tmp_path / "img_align_celeba", "000001.jpg")
    (tmp_path / "identity_CelebA.txt").write_text(CELEBA)
    mapping = (
        "        idx    orig_idx    orig_file\n0   2   000003.jpg\n1  1   000002.jpg\n5  77  000078.jpg\n"
    )
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").write_text(mapping)
    assert owners(read_dataset(photos)) == {"0.jpg": "2880", "1.jpg": "2937"}
    assert owners(read_dataset(tmp_path / "img_align_celeba")) == {"000001.jpg": "2880"}


def test_celeba_hq_with_identities_under_its_own_names(tmp_path: Path) -> None:
    make(tmp_path, "0.jpg", "1.jpg")
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").write_text(
        "idx orig_idx orig_file\n0 2 000003.jpg\n1 1 000002.jpg\n"
    )
    (tmp_path / "CelebA-HQ-Identity.txt").write_text("0.jpg ann\n1.jpg bea\n")
    assert owners(read_dataset(tmp_path)) == {"0.jpg": "ann", "1.jpg": "bea"}


def test_names_of_photos_may_hold_spaces(tmp_path: Path) -> None:
    make(tmp_path, "my photo.jpg")
    (tmp_path / "identity.txt").write_text("my photo.jpg  ann\n")
    assert owners(read_dataset(tmp_path)) == {"my photo.jpg": "ann"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.jpg a\n1.jpg\n", "line 2: write 'NAME PERSON'"),
        ("1.jpg a\n\n1.jpg b\n", "line 3: write 'NAME PERSON', and every name once"),
        ("7.jpg a\n", "names no photo of"),
    ],
)
def test_a_file_of_identities_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    make(tmp_path, "1.jpg")
    (tmp_path / "identity.txt").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_dataset(tmp_path)


def test_a_malformed_mapping_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg")
    (tmp_path / "identity.txt").write_text("1.jpg a\n")
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").write_text("idx orig_idx orig_file\n0 000003.jpg\n")
    with pytest.raises(ConfigError, match="line 2: expected the columns"):
        read_dataset(tmp_path)


def test_of_several_files_of_identities_none_is_taken(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", "identity_a.txt", "identity_b.txt")
    with pytest.raises(ConfigError, match="several files of identities"):
        read_dataset(tmp_path)


def test_given_identities_need_loose_photos(tmp_path: Path) -> None:
    make(tmp_path, *LFW)
    (tmp_path / "given.txt").write_text("Ann_B_0001.jpg ann\n")
    with pytest.raises(ConfigError, match="must lie loose in one folder"):
        read_dataset(tmp_path, identities=tmp_path / "given.txt")
    with pytest.raises(ConfigError, match=r"none.txt cannot be read"):
        read_dataset(tmp_path / "Carl", identities=tmp_path / "none.txt")


# --- makeup and none ----------------------------------------------------------------------------------
@pytest.mark.parametrize("inside", ["", "images/"])
def test_ladn(tmp_path: Path, inside: str) -> None:
    make(tmp_path, f"{inside}makeup/m1.jpg", f"{inside}non-makeup/n1.jpg", f"{inside}non-makeup/n2.jpg")
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "ladn"
    assert owners(dataset) == {"non-makeup/n1.jpg": "n1.jpg", "non-makeup/n2.jpg": "n2.jpg"}
    assert dataset.shots[0].path == tmp_path / inside / "non-makeup" / "n1.jpg"


# --- nothing to go by ---------------------------------------------------------------------------------
def test_loose_photos_are_not_guessed(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", "2.jpg")
    with pytest.raises(
        ConfigError, match="does not say whose its photos are: give a folder that holds one folder a"
    ):
        read_dataset(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no photos"):
        read_dataset(tmp_path)
    with pytest.raises(ConfigError, match="is no folder"):
        read_dataset(tmp_path / "none")


# --- groups -------------------------------------------------------------------------------------------
GROUPS = "person,skin,age\nAnn_B,V-VI, 30\n\nNobody,I-II,50\nCarl,I-II,\n"


@pytest.mark.parametrize("given", [True, False])
def test_groups(tmp_path: Path, given: bool) -> None:
    make(tmp_path, *LFW)
    path = tmp_path / ("mine.csv" if given else "groups.csv")
    path.write_text(GROUPS, "utf-8-sig")
    dataset = read_dataset(tmp_path, groups=path if given else None)
    assert dataset.groups == {"skin": {"Ann_B": "V-VI", "Carl": "I-II"}, "age": {"Ann_B": "30"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,skin\na,b\n", "line 1: the header must be person,COLUMN"),
        ("person\na\n", "line 1: the header"),
        ("person,skin,skin\na,b,c\n", "line 1: the header"),
        ("person,skin\na,b\nb\n", "line 3: give one person once, and 1 labels"),
        ("person,skin\na,b\na,c\n", "line 3: give one person once"),
        ('person,skin\na,"b" c\n', "line 2: .*; write it as CSV"),
    ],
)
def test_groups_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    make(tmp_path, *LFW)
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_dataset(tmp_path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    make(tmp_path, *LFW)
    (tmp_path / "groups.csv").write_bytes(b"person,skin\n\xff\xfe,b\n")
    with pytest.raises(ConfigError, match="no text in UTF-8"):
        read_dataset(tmp_path)
