import hashlib
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from toolkit import shown
from toolkit.errors import UsageError
from toolkit.privacy import KEY_FILE, Pseudonyms, masked, safe_cell, safe_text, suppress

KEY = bytes(range(32))
sizes = st.one_of(st.integers(0, 8), st.integers(0, 500))
limits = st.integers(1, 12)

# small cells


@pytest.mark.parametrize(
    ("n", "hidden"),
    [
        ([], []),
        ([120, 45, 8], []),
        ([120, 3, 45, 8], [3, 8]),  # one alone would follow from the total
        ([120, 3, 4, 45], [3, 4]),
        ([1, 2, 9, 6], [1, 2, 6]),  # together under the limit
        ([0, 0, 7, 9], []),  # nobody is nobody's secret
        ([0, 3, 9, 50], [3, 9]),
        ([0, 3], [0, 3]),  # nothing else is left to hide
        ([3], [3]),
    ],
)
def test_a_vector_is_hidden_as_worked_out_by_hand(n, hidden):
    assert sorted(np.array(n)[suppress(n)]) == hidden


@given(st.lists(sizes, max_size=12), limits)
def test_no_small_group_can_be_read_or_worked_out(n, limit):
    n, hidden = np.array(n, int), suppress(np.array(n, int), limit)
    assert hidden[(n > 0) & (n < limit)].all()
    if hidden.any() and not hidden.all():
        assert hidden.sum() > 1 and n[hidden].sum() >= limit


@given(st.lists(sizes, max_size=12), limits)
def test_no_more_is_hidden_than_is_needed(n, limit):
    n, hidden = np.array(n, int), suppress(np.array(n, int), limit)
    assert not hidden.any() or ((n > 0) & (n < limit)).any()
    extra = hidden & ~((n > 0) & (n < limit))
    if extra.any():
        others = hidden.copy()
        others[np.flatnonzero(extra)[np.lexsort((n[extra], n[extra] == 0))[-1]]] = False
        assert others.sum() < 2 or n[others].sum() < limit
        assert not (n[extra] == 0).any() or (n[~hidden] == 0).all()


@given(st.lists(sizes, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_groups_does_not_matter(n, shuffled):
    before = sorted(np.array(n, int)[suppress(n)])
    shuffled.shuffle(n)
    assert sorted(np.array(n, int)[suppress(n)]) == before


@given(arrays(int, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=5), elements=sizes), limits)
def test_no_cell_of_a_table_follows_from_its_totals(n, limit):
    hidden = suppress(n, limit)
    assert hidden[(n > 0) & (n < limit)].all()
    for line, mask in [*zip(n, hidden, strict=True), *zip(n.T, hidden.T, strict=True)]:
        assert not mask.any() or mask.all() or (mask.sum() > 1 and line[mask].sum() >= limit)
    cells = [tuple(cell) for cell in np.argwhere(hidden)]
    sums = [[cell[axis] == at for cell in cells] for axis in (0, 1) for at in range(n.shape[axis])]
    for place, (row, column) in enumerate(cells):
        alone = [other == place for other in range(len(cells))]
        follows = np.linalg.matrix_rank(np.array([*sums, alone], float)) == np.linalg.matrix_rank(np.array(sums, float))
        assert not follows or (hidden[row].all() and hidden[:, column].all())


def test_a_cell_between_two_rings_is_not_given_away():
    """Each row and column with a hidden cell has two, and still the one at (1, 2) would follow from the totals."""
    n = np.full((4, 4), 50)
    n[:2, :2] = n[2:, 2:] = n[1, 2] = 4
    assert suppress(n).sum() > (n < 5).sum() == 9


@pytest.mark.parametrize("shape", [(1, 3), (3, 1)])
def test_a_table_of_one_line_is_a_vector(shape):
    assert suppress(np.array([3, 8, 9]).reshape(shape)).ravel().tolist() == [True, True, False]


def test_the_sizes_themselves_are_left_as_they_were():
    n = np.array([[120, 3], [45, 8]])
    suppress(n)
    assert n.tolist() == [[120, 3], [45, 8]]


@pytest.mark.parametrize("n", [[-1, 3], [1.5, 3], [[[1]]], 3, [float("nan"), 1]])
def test_sizes_that_cannot_be_are_refused(n):
    with pytest.raises(UsageError, match="whole numbers, 0 or more"):
        suppress(n)


# safe text


def test_safe_text_is_the_one_that_results_use():
    assert safe_text is shown.safe_text


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd", "'+cmd"),
        ("-cmd", "'-cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\rx", "'\rx"),
        ("  =1", "'  =1"),
        ("＝1+1", "'＝1+1"),
        ("-4,5", "-4,5"),
        ("+12 %", "+12 %"),
        ("-1.5e-7", "-1.5e-7"),
        ("-4+cmd|' /C calc'!A0", "'-4+cmd|' /C calc'!A0"),
        ("product page", "product page"),
        ("", ""),
        (-4.5, -4.5),
        (None, None),
    ],
)
def test_a_cell_is_shown_by_a_spreadsheet_and_not_run(value, safe):
    assert safe_cell(value) == safe


@given(st.text())
def test_no_text_starts_a_formula_once_safe(text):
    safe = safe_cell(text)
    assert safe in (text, "'" + text) and safe_cell(safe) == safe
    assert safe[:1] not in tuple("=@\t\r\n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Skriv til mette.sørensen+butik@example.dk.", "Skriv til [e-mail]."),
        ("<ole@example.se>, tak", "<[e-mail]>, tak"),
        ("see https://example.com/a?b=c, or www.example.dk!", "see [link], or [link]!"),
        ("track.example.se/0371?x=y went blank", "[link] went blank"),
        ("ring +45 12 34 56 78", "ring [phone]"),
        ("ring 12 34 56 78 i dag", "ring [phone] i dag"),
        ("ring (040) 123-4567", "ring [phone]"),
        ("0046 (0)70-123 45 67", "[phone]"),
        ("070-123 45 67", "[phone]"),
        ("+4512345678", "[phone]"),
        ("1234567 8", "[phone]"),
        ("12345678", "[number]"),
        ("ordre536365", "ordre[number]"),
        ("cpr 010203-1234", "cpr [number]"),
        ("19010203-1234", "[number]"),
        ("kort 4111 1111 1111 1111", "kort [number]"),
        ("leveret 2026-03-01 14:05", "leveret 2026-03-01 14:05"),
        ("leveret 01.03.2026, 3 dage for sent", "leveret 01.03.2026, 3 dage for sent"),
        ("99.95 kr, 4.5/5, 12 stk", "99.95 kr, 4.5/5, 12 stk"),
        ("and/or 24/7", "and/or 24/7"),
        ("", ""),
    ],
)
def test_free_text_loses_what_leads_to_a_person(text, found):
    assert masked(text) == found


@given(st.text(alphabet=st.sampled_from("a1 2.3-@/+(w:é\n5"), max_size=60))
def test_masking_leaves_no_address_and_no_long_number_and_is_stable(text):
    once = masked(text)
    assert masked(once) == once
    assert not any(run.isdigit() and len(run) >= 6 for run in "".join(c if c.isdigit() else " " for c in once).split())


@pytest.mark.parametrize("part", ["a", "1 ", "a.", "a@", "1.", "(1", "2026-01-", "www.", "www.!", "a-", "123456-"])
def test_hostile_text_costs_no_more_than_any_other(part):
    start = time.process_time()
    masked(part * 20_000)
    assert time.process_time() - start < 2


# pseudonyms


def test_a_token_is_the_hmac_of_the_id():
    """RFC 2104 written out: H(key ⊕ opad, H(key ⊕ ipad, text))."""
    block = KEY.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + b"customer\0c-17").digest()
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).hexdigest()
    assert Pseudonyms(KEY).token("c-17") == f"customer {outer[:10].upper()}"


@given(st.lists(st.text(), min_size=1, max_size=8, unique=True), st.data())
def test_the_owner_finds_every_id_again(ids, data):
    one = data.draw(st.sampled_from(ids))
    assert Pseudonyms(KEY).back(Pseudonyms(KEY).token(one), ids) == one


@given(st.text(), st.binary(min_size=16, max_size=64))
def test_another_key_or_another_unit_gives_other_names(text, key):
    names = Pseudonyms(KEY)
    assert key == KEY or Pseudonyms(key).token(text) != names.token(text)
    assert Pseudonyms(KEY, "response").token(text).split()[1] != names.token(text).split()[1]


def test_ids_that_are_no_valid_text_have_names_too():
    assert Pseudonyms(KEY).token("\ud800") != Pseudonyms(KEY).token("\ud801")


def test_a_name_of_nobody_or_of_two_is_said():
    with pytest.raises(UsageError, match="'customer 0' is the name of 0 of these ids"):
        Pseudonyms(KEY).back("customer 0", ["c-1"])
    with pytest.raises(UsageError, match="2 of these ids"):
        Pseudonyms(KEY).back(Pseudonyms(KEY).token("c-1"), ["c-1", "c-1"])


def test_the_key_is_not_shown():
    assert repr(Pseudonyms(KEY)) == "Pseudonyms(unit='customer')"


def test_a_short_key_is_refused():
    with pytest.raises(UsageError, match="key has 4 bytes"):
        Pseudonyms(b"Jefe")


def test_the_key_stays_beside_the_study_for_its_owner_only(tmp_path):
    names = Pseudonyms.beside(tmp_path)
    assert Pseudonyms.beside(tmp_path) == names
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
    other = tmp_path / "other"
    other.mkdir()
    assert Pseudonyms.beside(other) != names


def test_a_key_copied_by_hand_is_closed_again(tmp_path):
    names = Pseudonyms.beside(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    assert Pseudonyms.beside(tmp_path) == names
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_many_at_once_agree_on_one_key(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        assert len({names.key for names in pool.map(lambda _: Pseudonyms.beside(tmp_path), range(64))}) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_damaged_key_is_said(tmp_path):
    for wreck in ("not hex", ""):
        (tmp_path / KEY_FILE).write_text(wreck)
        with pytest.raises(UsageError, match="is damaged"):
            Pseudonyms.beside(tmp_path)


def test_a_folder_that_cannot_hold_the_key_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        Pseudonyms.beside(tmp_path / "nowhere")
