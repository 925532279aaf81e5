"""The store: kept once, made whole or not at all, within its memory, and gone when it should be."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.house import ROOT
from tests.study.made import events, opened, touched
from toolkit.errors import DataError
from toolkit.study import cache, store

MOMENTS = pd.date_range("2026-01-01", periods=3_000, freq="1min")
ROWS = events(*[(f"c{i % 700}", at, ("cart", "purchase")[i % 2]) for i, at in enumerate(MOMENTS)])


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache folder of its own."""
    monkeypatch.setenv("JOURNEY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "journey-toolkit"


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    ROWS.to_csv(folder / "events.csv", index=False)
    return folder


def stores(home):
    return sorted(path.name for path in home.glob("*") if not path.name.endswith(".lock"))


def never(folder):
    raise AssertionError("built again")


def python(code, **env):
    """Another process that has toolkit and this source."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env=os.environ | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_opening_finds_the_store_and_builds_nothing(home, source, monkeypatch):
    first = opened(source)
    assert len(stores(home)) == 1
    monkeypatch.setattr("toolkit.study.opening.build", lambda *_: never(None))
    began = time.process_time()
    second = opened(source)
    assert time.process_time() - began < 0.3
    assert touched(first) == touched(second)
    assert len(second.frame("events")) == 3_000


@pytest.mark.parametrize("change", ["content", "zone", "columns", "date"])
def test_another_input_or_reading_is_another_store(home, source, change):
    opened(source)
    settings = {"zone": {"tz": "Asia/Tokyo"}, "columns": {"columns": {"x": "channel"}}}.get(change, {})
    if change == "content":
        ROWS[:-1].to_csv(source / "events.csv", index=False)
    if change == "date":
        os.utime(source / "events.csv", ns=(1, 1))
    assert sum(touched(opened(source, **settings)).values()) == 3_000 - (change == "content")
    assert len(stores(home)) == 2


def test_a_parquet_file_that_changed_or_moved_is_said_when_its_rows_are_asked_for(home, tmp_path):
    file = tmp_path / "events.parquet"
    ROWS.to_parquet(file)
    data = opened(file)
    assert len(data.frame("events")) == 3_000
    ROWS[:10].to_parquet(file)
    with pytest.raises(
        DataError, match=r"events\.parquet moved or changed since this study was opened\. Open it again"
    ):
        data.frame("events")
    assert sum(touched(data).values()) == 3_000
    assert len(opened(file).frame("events")) == 10
    file.rename(tmp_path / "elsewhere.parquet")
    with pytest.raises(DataError, match="moved or changed"):
        data.frame("events")


def test_the_source_may_be_named_relatively(home, source, monkeypatch):
    monkeypatch.chdir(source.parent)
    ROWS.to_parquet("events.parquet")
    data = opened("events.parquet")
    monkeypatch.chdir("/")
    assert len(data.frame("events")) == 3_000


def test_nobody_else_may_read_a_store(home, source):
    opened(source)
    assert oct(home.stat().st_mode & 0o777) == "0o700"
    assert [oct(path.stat().st_mode & 0o777) for path in home.glob("store-*")] == ["0o700"]


def test_erasing_removes_every_store_and_what_a_crash_left(home, source):
    opened(source)
    (home / "making-of-a-crash").mkdir()
    assert tk.erase_cache() == 1
    assert stores(home) == []


def test_without_a_cache_nothing_is_kept_and_the_store_goes_with_its_study(home, source):
    data = opened(source, cache=False)
    folder = data.store.folder
    view = data.only(touchpoint="cart")
    del data
    assert folder.is_dir()
    assert touched(view)["cart"] == 1_500
    del view
    assert not folder.exists()
    assert stores(home) == []


def test_a_failed_build_leaves_nothing_in_either_place(home, source, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "temporary").mkdir()
    (source / "events.csv").write_text("customer_id\na\n")
    for keep in (True, False):
        with pytest.raises(DataError, match="events lacks"):
            opened(source, cache=keep)
    assert stores(home) == list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("obstacle", ["a file in its place", "read-only"])
def test_where_the_cache_cannot_be_written_the_session_goes_on(home, source, obstacle):
    if obstacle == "read-only" and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    if obstacle == "read-only":
        home.mkdir(parents=True)
        home.chmod(0o500)
    else:
        home.parent.write_text("")
    data = opened(source)
    assert sum(touched(data).values()) == 3_000
    assert not data.store.folder.is_relative_to(home)


def test_a_kept_store_is_found_in_a_cache_that_cannot_be_written(home, source, monkeypatch):
    opened(source)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: never(None))
    assert opened(source).store.folder.parent == home


def test_a_build_killed_in_the_middle_is_not_taken_for_a_store(home, source, tmp_path):
    waiting = tmp_path / "waiting"
    process = python(f"""
        import pathlib, time, toolkit as tk
        from toolkit.study.store import _Builder
        def stop(self, *_):
            pathlib.Path({str(waiting)!r}).touch()
            time.sleep(60)
        _Builder._customers = stop
        tk.open_data({str(source)!r}, tz="UTC")
    """)
    while not waiting.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [name[:7] for name in stores(home)] == ["making-"]
    assert sum(touched(opened(source)).values()) == 3_000
    assert [name[:6] for name in stores(home)] == ["store-"]


def test_two_processes_at_once_build_once_and_agree(home, source):
    code = f"""
        import toolkit as tk, toolkit.study.opening as opening
        build = opening.build
        def counted(*given):
            print("built")
            build(*given)
        opening.build = counted
        print(tk.sessions(tk.open_data({str(source)!r}, tz="UTC")).rows()[0]["n_sessions"])
    """
    said = [process.communicate() for process in [python(code), python(code)]]
    words = [out.split() for out, _ in said]
    assert sorted(map(len, words)) == [1, 2], said
    assert words[0][-1] == words[1][-1]
    assert len(stores(home)) == 1


FILL = """
    import resource, toolkit as tk
    from toolkit.errors import DataError
    {before}
    try:
        tk.open_data({source!r}, tz="UTC", cache={cache})
        print("opened")
    except DataError as error:
        print(error)
"""


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("bytes_", [3_000, 20_000, 60_000])
def test_a_file_that_may_grow_no_more_is_a_full_disk(home, source, tmp_path, keep, bytes_):
    (tmp_path / "temporary").mkdir()
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_}, resource.RLIM_INFINITY))"
    process = python(
        FILL.format(before=limit, source=str(source), cache=keep),
        TMPDIR=str(tmp_path / "temporary"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    said, wrong = process.communicate()
    assert said.startswith("The disk ran full while the data was sorted"), said + wrong
    assert said.count("\n") == 1
    assert stores(home) == list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("kilobytes", [32, 64, 88])
def test_a_disk_that_is_truly_full_is_said_in_one_sentence_and_nothing_stays(source, tmp_path, kilobytes):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    roomy = "import shutil; shutil.disk_usage = lambda _: type('Usage', (), {'free': 10**12})"  # another fills it later
    try:
        process = python(FILL.format(before=roomy, source=str(source), cache=True), JOURNEY_CACHE=str(disk))
        said, wrong = process.communicate()
        assert said.startswith("The disk ran full while the data was sorted"), said + wrong
        assert "another folder in the environment variable JOURNEY_CACHE" in said
        assert stores(disk / "journey-toolkit") == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_duckdb_is_told_its_limits(tmp_path):
    with store.connect(tmp_path) as con:
        told = con.execute(
            "select current_setting('memory_limit'), current_setting('temp_directory'), current_setting('TimeZone')"
        )
        memory, spill, zone = told.fetchall()[0]
    assert (memory[:5], Path(spill).parent, zone) == ("238.4", tmp_path, "UTC")


def test_too_little_space_is_said_before_the_work_begins(home, source, monkeypatch):
    usage = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"Sorting needs about 0\.0 GB in .*, and 0\.0 GB are free\. Free some space"):
        opened(source)


def test_a_build_in_several_scratch_files_is_the_same(source, monkeypatch):
    whole = opened(source, cache=False)
    monkeypatch.setattr("toolkit.study.sort.ROWS_AT_ONCE", 100)
    parts = opened(source, cache=False)
    for name in ("events.time", "events.touchpoint", "events.offsets", "hash"):
        files = [np.fromfile(data.store.folder / f"{name}.bin", np.uint8) for data in (whole, parts)]
        assert (files[0] == files[1]).all()
    assert not list(parts.store.folder.glob("*.scratch"))


def test_a_wide_build_stays_within_its_memory(tmp_path):
    file = tmp_path / "events.parquet"
    con = duckdb.connect()
    con.execute(f"""copy (select 'customer-' || (range * 7919 % 200000) as customer_id,
        'page ' || (range % 20) as touchpoint, to_timestamp(1767225600 + range * 7)
        at time zone 'UTC' as timestamp from range(1000000)) to '{file}'""")
    process = python(f"""
        import resource, toolkit as tk
        from toolkit.study.data import Data
        import pyarrow, duckdb, pandas, babel.numbers
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tk.open_data({str(file)!r}, tz="UTC", cache=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """)
    out, wrong = process.communicate()
    assert int(out) < 400_000, wrong


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    for name in ("JOURNEY_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert cache.cache_folder() == Path.home() / ".cache" / "journey-toolkit"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "journey-toolkit"
